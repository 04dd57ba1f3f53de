//! Keep a session going.

use counterfoil_domain::user_account::commands::RefreshToken;
use counterfoil_domain::user_account::{
    AccountFact, ClientBinding, Policy, Refusal, SessionFact, SessionTokens, SignOutReason, TokenRotation,
    UserAccountEvent,
};
use counterfoil_domain::values::{Client, ClientChange, Generation};

use crate::fixtures::*;

fn bound(binding: ClientBinding) -> Policy {
    Policy { binding, ..Policy::default() }
}

/// From another browser, another network, and both.
fn other_clients() -> [(ClientChange, Client); 3] {
    let both = Client { ip: elsewhere().ip, ..other_browser() };
    [
        (ClientChange::Device, other_browser()),
        (ClientChange::Network, elsewhere()),
        (ClientChange::DeviceAndNetwork, both),
    ]
}

#[test]
fn the_newest_token_is_traded_for_the_next_generation() {
    given(signed_in()).when(refresh_token(DAY, 1, 1).into()).then_expect_events(vec![token_refreshed(
        DAY,
        1,
        2,
        31 * DAY,
    )]);
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(2 * DAY, 1, 2).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 1, 3, 32 * DAY)]);
}

#[test]
fn the_parent_gives_the_same_generation_again_for_a_moment() {
    for later in [0, 1, 59] {
        given(signed_in())
            .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
            .when(refresh_token(DAY + later, 1, 1).into())
            .then_expect_events(vec![token_refresh_retried(DAY + later, 1, 2, DAY, 31 * DAY)]);
    }
    // A retry does not prolong the moment.
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refresh_retried(DAY + 59, 1, 2, DAY, 31 * DAY)])
        .when(refresh_token(DAY + 60, 1, 1).into())
        .then_expect_events(token_reused(DAY + 60, 1, 1, 2, 31 * DAY));
}

#[test]
fn a_repeated_refresh_is_on_record_once() {
    let retried =
        || vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refresh_retried(DAY + 1, 1, 2, DAY, 31 * DAY)];
    given(signed_in())
        .and(retried())
        .when(refresh_token(DAY + 2, 1, 1).into())
        .then_expect_events(Vec::new());
    // The retry of the next generation is another one.
    given(signed_in())
        .and(retried())
        .and(vec![token_refreshed(DAY + 3, 1, 3, 31 * DAY)])
        .when(refresh_token(DAY + 4, 1, 2).into())
        .then_expect_events(vec![token_refresh_retried(DAY + 4, 1, 3, DAY + 3, 31 * DAY)]);
    // From another client it is on record with that.
    given(signed_in())
        .and(retried())
        .when(RefreshToken { client: other_browser(), ..refresh_token(DAY + 2, 1, 1) }.into())
        .then_expect_events(vec![
            client_changed(DAY + 2, 1, ClientChange::Device, other_browser()),
            from(other_browser(), token_refresh_retried(DAY + 2, 1, 2, DAY, 31 * DAY)),
        ]);
}

/// The same generation given again, where the refresh could first be answered at that time.
fn retried_after_outage(seconds: i64, answer_possible_at: i64) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::TokenRefreshRetried {
        session: session(1),
        generation: Generation(2),
        issued_at: at(DAY),
        expires_at: at(31 * DAY),
        answer_possible_at: Some(at(answer_possible_at)),
    });
    event(seconds, fact)
}

#[test]
fn the_grace_period_begins_when_an_outage_ends() {
    let (began, ended) = (DAY - 5, DAY + 2 * HOUR);
    for later in [0, 1, 59] {
        given_after(Outage(began, Some(ended)), signed_in())
            .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
            .when(refresh_token(ended + later, 1, 1).into())
            .then_expect_events(vec![retried_after_outage(ended + later, ended)]);
    }
    given_after(Outage(began, Some(ended)), signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(ended + 60, 1, 1).into())
        .then_expect_events(token_reused(ended + 60, 1, 1, 2, 31 * DAY));
    // While it lasts no answer was possible.
    given_after(Outage(began, None), signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(DAY + HOUR, 1, 1).into())
        .then_expect_events(vec![retried_after_outage(DAY + HOUR, DAY + HOUR)]);
}

#[test]
fn an_outage_excuses_no_token_whose_child_was_used_or_whose_refresh_was_answered() {
    given_after(Outage(DAY - 5, Some(DAY + 5)), signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refreshed(DAY + 1, 1, 3, 31 * DAY)])
        .when(refresh_token(DAY + 6, 1, 1).into())
        .then_expect_events(token_reused(DAY + 6, 1, 1, 3, 31 * DAY));
    given_after(Outage(DAY + 10, Some(DAY + 90)), signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(DAY + 91, 1, 1).into())
        .then_expect_events(token_reused(DAY + 91, 1, 1, 2, 31 * DAY));
}

/// So many refreshes within the minute that begins at a day.
fn refreshed_often(times: u32) -> Vec<UserAccountEvent> {
    (0..times).map(|n| token_refreshed(DAY + i64::from(n) % 50, 1, n + 2, 31 * DAY)).collect()
}

#[test]
fn a_session_is_refreshed_so_often_within_a_minute_and_no_oftener() {
    given(signed_in())
        .and(refreshed_often(59))
        .when(refresh_token(DAY + 55, 1, 60).into())
        .then_expect_events(vec![token_refreshed(DAY + 55, 1, 61, DAY + 55 + 30 * DAY)]);
    let until = at(DAY + 60);
    given(signed_in())
        .and(refreshed_often(60))
        .when(refresh_token(DAY + 55, 1, 61).into())
        .then_expect_error(Refusal::TooManyRefreshes { until });
    given(signed_in())
        .and(refreshed_often(60))
        .when(refresh_token(DAY + 60, 1, 61).into())
        .then_expect_events(vec![token_refreshed(DAY + 60, 1, 62, DAY + 60 + 30 * DAY)]);
    // A copy that was used before is found out all the same.
    given(signed_in())
        .and(refreshed_often(60))
        .when(refresh_token(DAY + 55, 1, 1).into())
        .then_expect_events(token_reused(DAY + 55, 1, 1, 61, 31 * DAY));
}

#[test]
fn repeated_refreshes_from_ever_other_clients_are_counted_as_well() {
    let mut history = refreshed_often(1);
    for n in 0..59 {
        let client = if n % 2 == 0 { other_browser() } else { client() };
        history.push(client_changed(DAY + 1, 1, ClientChange::Device, client.clone()));
        history.push(from(client, token_refresh_retried(DAY + 1, 1, 2, DAY, 31 * DAY)));
    }
    given(signed_in())
        .and(history)
        .when(refresh_token(DAY + 2, 1, 1).into())
        .then_expect_error(Refusal::TooManyRefreshes { until: at(DAY + 60) });
}

#[test]
fn after_a_retry_the_newest_is_traded_as_ever() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refresh_retried(DAY + 1, 1, 2, DAY, 31 * DAY)])
        .when(refresh_token(DAY + 2, 1, 2).into())
        .then_expect_events(vec![token_refreshed(DAY + 2, 1, 3, DAY + 2 + 30 * DAY)]);
}

#[test]
fn a_spent_token_that_comes_later_ends_the_session() {
    for later in [60, 61, DAY] {
        given(signed_in())
            .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
            .when(refresh_token(DAY + later, 1, 1).into())
            .then_expect_events(token_reused(DAY + later, 1, 1, 2, 31 * DAY));
    }
}

#[test]
fn a_grandparent_ends_the_session_however_soon_it_comes() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refreshed(DAY, 1, 3, 31 * DAY)])
        .when(refresh_token(DAY, 1, 1).into())
        .then_expect_events(token_reused(DAY, 1, 1, 3, 31 * DAY));
}

#[test]
fn once_it_was_reused_nothing_of_the_session_is_taken_and_other_sessions_go_on() {
    let history = || {
        let mut history = vec![logged_in(20, 2), token_refreshed(DAY, 1, 2, 31 * DAY)];
        history.extend(token_reused(2 * DAY, 1, 1, 2, 31 * DAY));
        history
    };
    for generation in [1, 2, 3] {
        given(signed_in())
            .and(history())
            .when(refresh_token(2 * DAY, 1, generation).into())
            .then_expect_error(Refusal::SpentToken);
    }
    given(signed_in())
        .and(history())
        .when(refresh_token(2 * DAY, 2, 1).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 2, 2, 32 * DAY)]);
}

#[test]
fn a_spent_token_leaves_the_newest_as_it_is() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refreshed(2 * DAY, 1, 3, 32 * DAY)])
        .when(refresh_token(3 * DAY, 1, 3).into())
        .then_expect_events(vec![token_refreshed(3 * DAY, 1, 4, 33 * DAY)]);
}

#[test]
fn a_generation_that_was_never_handed_out_ends_the_session() {
    for generation in [2, 3, u32::MAX] {
        given(signed_in()).when(refresh_token(DAY, 1, generation).into()).then_expect_events(token_reused(
            DAY,
            1,
            generation,
            1,
            10 + 30 * DAY,
        ));
    }
}

#[test]
fn no_refresh_goes_past_the_session_s_end() {
    let ends_at = 10 + 90 * DAY;
    given(signed_in())
        .and(vec![token_refreshed(29 * DAY, 1, 2, 59 * DAY), token_refreshed(58 * DAY, 1, 3, 88 * DAY)])
        .when(refresh_token(87 * DAY, 1, 3).into())
        .then_expect_events(vec![token_refreshed(87 * DAY, 1, 4, ends_at)]);
    given(signed_in())
        .and(vec![token_refreshed(87 * DAY, 1, 2, ends_at)])
        .when(refresh_token(ends_at - 1, 1, 2).into())
        .then_expect_events(vec![token_refreshed(ends_at - 1, 1, 3, ends_at)]);
    given(signed_in())
        .and(vec![token_refreshed(87 * DAY, 1, 2, ends_at)])
        .when(refresh_token(ends_at, 1, 2).into())
        .then_expect_error(Refusal::SpentToken);
}

#[test]
fn a_session_that_was_not_refreshed_in_time_has_ended() {
    let expires_at = 10 + 30 * DAY;
    given(signed_in())
        .when(refresh_token(expires_at - 1, 1, 1).into())
        .then_expect_events(vec![token_refreshed(expires_at - 1, 1, 2, expires_at - 1 + 30 * DAY)]);
    given(signed_in()).when(refresh_token(expires_at, 1, 1).into()).then_expect_error(Refusal::SpentToken);
}

#[test]
fn a_session_that_was_signed_out_or_never_began_is_refused() {
    for reason in [SignOutReason::SignedOut, SignOutReason::DeviceLimit, SignOutReason::DeviceRevoked] {
        given(signed_in())
            .and(vec![logged_out(20, 1, reason, 10 + 30 * DAY)])
            .when(refresh_token(30, 1, 1).into())
            .then_expect_error(Refusal::SpentToken);
    }
    for history in [vec![], vec![otp_requested(0, 1)], signed_in()] {
        given(history).when(refresh_token(30, 2, 1).into()).then_expect_error(Refusal::SpentToken);
    }
}

#[test]
fn one_device_s_refresh_spends_no_other_s_token() {
    given(signed_in())
        .and(vec![logged_in(20, 2), token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(2 * DAY, 2, 1).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 2, 2, 32 * DAY)]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given(signed_in()).when(refresh_token(-HOUR, 1, 1).into()).then_expect_events(vec![token_refreshed(
        10,
        1,
        2,
        10 + 30 * DAY,
    )]);
}

#[test]
fn a_change_of_client_is_on_record_with_the_refresh_it_came_with() {
    for (change, client) in other_clients() {
        let mut command = refresh_token(DAY, 1, 1);
        command.client = client.clone();
        let refreshed = token_refreshed(DAY, 1, 2, 31 * DAY);
        let refreshed = match change {
            ClientChange::Device => from(client.clone(), refreshed),
            ClientChange::Network | ClientChange::DeviceAndNetwork => moved_to(client.clone(), 1, refreshed),
        };
        given(signed_in())
            .when(command.into())
            .then_expect_events(vec![client_changed(DAY, 1, change, client), refreshed]);
    }
}

#[test]
fn a_change_of_client_is_on_record_once_and_again_on_the_way_back() {
    let moved = || {
        vec![
            client_changed(DAY, 1, ClientChange::Network, elsewhere()),
            moved_to(elsewhere(), 1, token_refreshed(DAY, 1, 2, 31 * DAY)),
        ]
    };
    let mut from_there = refresh_token(2 * DAY, 1, 2);
    from_there.client = elsewhere();
    given(signed_in())
        .and(moved())
        .when(from_there.into())
        .then_expect_events(vec![from(elsewhere(), token_refreshed(2 * DAY, 1, 3, 32 * DAY))]);
    given(signed_in()).and(moved()).when(refresh_token(2 * DAY, 1, 2).into()).then_expect_events(vec![
        client_changed(2 * DAY, 1, ClientChange::Network, client()),
        moved_to(client(), 1, token_refreshed(2 * DAY, 1, 3, 32 * DAY)),
    ]);
}

/// Within one network too, and once: where the session is now is known from then on.
#[test]
fn a_refresh_from_another_address_says_that_the_session_moved() {
    let next_door = || Client { ip: "192.0.2.8".parse().expect("an address"), ..client() };
    assert_eq!(mark(1, &next_door()), mark(1, &client()), "one network");
    let moved = || moved_to(next_door(), 1, token_refreshed(DAY, 1, 2, 31 * DAY));
    let refresh =
        |seconds, generation, client| RefreshToken { client, ..refresh_token(seconds, 1, generation) };
    given(signed_in()).when(refresh(DAY, 1, next_door()).into()).then_expect_events(vec![moved()]);
    given(signed_in())
        .and(vec![moved()])
        .when(refresh(2 * DAY, 2, next_door()).into())
        .then_expect_events(vec![from(next_door(), token_refreshed(2 * DAY, 1, 3, 32 * DAY))]);
    given(signed_in())
        .and(vec![moved()])
        .when(refresh(2 * DAY, 2, client()).into())
        .then_expect_events(vec![moved_to(client(), 1, token_refreshed(2 * DAY, 1, 3, 32 * DAY))]);
}

#[test]
fn a_retry_from_another_client_is_on_record_too() {
    let mut command = refresh_token(DAY + 1, 1, 1);
    command.client = elsewhere();
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(command.into())
        .then_expect_events(vec![
            client_changed(DAY + 1, 1, ClientChange::Network, elsewhere()),
            from(elsewhere(), token_refresh_retried(DAY + 1, 1, 2, DAY, 31 * DAY)),
        ]);
}

#[test]
fn a_session_that_is_bound_ends_when_its_token_comes_from_elsewhere() {
    for binding in [ClientBinding::Device, ClientBinding::DeviceAndIp] {
        for (change, client) in other_clients() {
            // The token of the newest generation, and its parent soon after it was spent.
            for (history, generation) in [(vec![], 1), (vec![token_refreshed(DAY, 1, 2, 10 + 30 * DAY)], 1)] {
                let mut command = refresh_token(DAY, 1, generation);
                command.client = client.clone();
                let ended = logged_out(DAY, 1, SignOutReason::ClientChanged, 10 + 30 * DAY);
                let expected =
                    vec![client_changed(DAY, 1, change, client.clone()), from(client.clone(), ended)];
                let decided = given_under(bound(binding), signed_in()).and(history).when(command.into());
                if binding == ClientBinding::Device && change == ClientChange::Network {
                    let events = decided.inspect_result().expect("taken");
                    assert!(matches!(SessionTokens::from_event(&events[1]), Some(Ok(_))), "{events:?}");
                } else {
                    decided.then_expect_events(expected);
                }
            }
        }
    }
}

#[test]
fn the_answer_to_a_token_from_elsewhere_is_that_to_a_spent_one() {
    let ended = logged_out(DAY, 1, SignOutReason::ClientChanged, 10 + 30 * DAY);
    assert_eq!(SessionTokens::from_event(&ended), Some(Err(Refusal::SpentToken)));
    let changed = client_changed(DAY, 1, ClientChange::Network, elsewhere());
    assert_eq!(SessionTokens::from_event(&changed), None);
}

#[test]
fn a_session_from_before_clients_were_marked_is_bound_to_none() {
    let mut history = signed_in();
    if let AccountFact::Session(SessionFact::LoggedIn { mark, address, .. }) = &mut history[2].fact {
        (*mark, *address) = (None, None);
    }
    let mut command = refresh_token(DAY, 1, 1);
    command.client = elsewhere();
    given_under(bound(ClientBinding::DeviceAndIp), history)
        .when(command.into())
        .then_expect_events(vec![moved_to(elsewhere(), 1, token_refreshed(DAY, 1, 2, 31 * DAY))]);
}

#[test]
fn without_rotation_the_first_token_goes_on_working() {
    let policy = Policy { rotation: TokenRotation::Off, ..Policy::default() };
    given_under(policy.clone(), signed_in())
        .when(refresh_token(DAY, 1, 1).into())
        .then_expect_events(vec![token_refreshed(DAY, 1, 1, 31 * DAY)]);
    given_under(policy, signed_in())
        .and(vec![token_refreshed(DAY, 1, 1, 31 * DAY)])
        .when(refresh_token(2 * DAY, 1, 1).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 1, 1, 32 * DAY)]);
}

#[test]
fn what_was_spent_before_rotation_ended_stays_spent() {
    given_under(Policy { rotation: TokenRotation::Off, ..Policy::default() }, signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refreshed(2 * DAY, 1, 2, 32 * DAY)])
        .when(refresh_token(2 * DAY, 1, 1).into())
        .then_expect_events(token_reused(2 * DAY, 1, 1, 2, 32 * DAY));
}

#[test]
fn the_answer_is_the_generation_to_issue() {
    let tokens = SessionTokens {
        session: session(1),
        generation: Generation(2),
        issued_at: at(DAY),
        expires_at: at(31 * DAY),
    };
    let refreshed = token_refreshed(DAY, 1, 2, 31 * DAY);
    assert_eq!(SessionTokens::from_event(&refreshed), Some(Ok(tokens)));
}
