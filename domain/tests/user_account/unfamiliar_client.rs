//! A sign-in from a device or network that the account was not signed in from before says so.

use counterfoil_domain::user_account::commands::VerifyOtp;
use counterfoil_domain::user_account::{
    AccountFact, Requester, SessionFact, SignOutReason, UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{Client, ClientChange, LanguageTag};
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

/// A sign-in by `session(s)` from that client, of an account whose first session was `session(1)`.
fn logged_in_from(client: Client, seconds: i64, s: u8, change: Option<ClientChange>) -> UserAccountEvent {
    let mut event = logged_in(seconds, s);
    if let AccountFact::Session(SessionFact::LoggedIn {
        mark: its,
        address: its_address,
        seen,
        unfamiliar,
        ..
    }) = &mut event.fact
    {
        *its = Some(mark(s, &client));
        *its_address = Some(address(s, &client));
        *seen = Some(mark(1, &client));
        *unfamiliar = change;
    }
    from(client, event)
}

fn verify_from(client: Client, seconds: i64, n: u8, s: u8) -> VerifyOtp {
    VerifyOtp { client, ..verify_otp(seconds, code(n), s) }
}

#[test]
fn the_first_sign_in_is_from_nowhere_new() {
    given([otp_requested(0, 1)])
        .when(verify_otp(10, code(1), 1).into())
        .then_expect_events(vec![user_registered(10), logged_in(10, 1)]);
}

#[test]
fn what_is_new_is_told_once() {
    let elsewhere_by_another = Client { user_agent: other_browser().user_agent, ..elsewhere() };
    for (client, change) in [
        (client(), None),
        (other_browser(), Some(ClientChange::Device)),
        (elsewhere(), Some(ClientChange::Network)),
        (elsewhere_by_another, Some(ClientChange::DeviceAndNetwork)),
    ] {
        let asked = [signed_in(), vec![otp_requested_again(100, 2)]].concat();
        let first = logged_in_from(client.clone(), 110, 2, change);
        given(asked.clone())
            .when(verify_from(client.clone(), 110, 2, 2).into())
            .then_expect_events(vec![first.clone()]);
        given([asked, vec![first, otp_requested_again(200, 3)]].concat())
            .when(verify_from(client.clone(), 210, 3, 3).into())
            .then_expect_events(vec![logged_in_from(client, 210, 3, None)]);
    }
}

#[test]
fn a_device_with_a_token_to_show_is_known_wherever_it_is() {
    let history = [signed_in(), vec![otp_requested_again(100, 2)]].concat();
    let shown = VerifyOtp { shown: Some(session(1)), ..verify_from(elsewhere(), 110, 2, 2) };
    let expected = logged_in_from(elsewhere(), 110, 2, None);
    assert!(
        matches!(
            expected.fact,
            AccountFact::Session(SessionFact::LoggedIn { requester: Requester::Stranger, .. })
        ),
        "the code was a stranger's"
    );
    let replaced = logged_out(110, 1, SignOutReason::SignedInAgain, 10 + 30 * DAY);
    let replaced = UserAccountEvent { client: Some(elsewhere()), ..replaced };
    given(history).when(shown.into()).then_expect_events(vec![replaced, expected]);
}

#[test]
fn a_person_is_written_to_in_the_language_of_a_familiar_client() {
    let language = |tag| LanguageTag::parse(tag);
    let in_language = |tag, mut event: UserAccountEvent| {
        if let AccountFact::Session(SessionFact::LoggedIn { language: its, .. }) = &mut event.fact {
            *its = language(tag);
        }
        event
    };
    let verify = VerifyOtp { language: language("fa"), ..verify_otp(10, code(1), 1) };
    let first = in_language("fa", logged_in(10, 1));
    given([otp_requested(0, 1)])
        .when(verify.into())
        .then_expect_events(vec![user_registered(10), first.clone()]);

    let history = [otp_requested(0, 1), user_registered(10), first];
    let strange = in_language("en", logged_in_from(elsewhere(), 20, 2, Some(ClientChange::Network)));
    let silent = logged_in(20, 2);
    let familiar = in_language("en", logged_in(20, 2));
    for (next, tag) in [(strange, "fa"), (silent, "fa"), (familiar, "en")] {
        let mut account = UserAccount::default();
        for event in history.iter().cloned().chain([next]) {
            account.apply(event);
        }
        assert_eq!(account.language(), language(tag).as_ref());
    }
}

#[test]
fn ten_clients_are_remembered_and_the_one_used_longest_ago_is_forgotten() {
    let network = |n: u8| Client { ip: [203, 0, n, 7].into(), ..client() };
    let mut history = signed_in();
    for n in 2..=11 {
        let seconds = i64::from(n) * HOUR;
        history.push(otp_requested_again(seconds, n));
        history.push(logged_in_from(network(n), seconds + 1, n, Some(ClientChange::Network)));
    }
    history.push(otp_requested_again(20 * HOUR, 20));
    for (client, change) in [(network(11), None), (network(2), None), (client(), Some(ClientChange::Network))]
    {
        given(history.clone())
            .when(verify_from(client.clone(), 20 * HOUR + 1, 20, 20).into())
            .inspect_result_of_sign_in(&client, change);
    }
}

trait InspectSignIn {
    fn inspect_result_of_sign_in(self, client: &Client, change: Option<ClientChange>);
}

impl InspectSignIn for cqrs_es::test::AggregateResultValidator<UserAccount> {
    /// Sessions over the limit end as well; they are not the point here.
    fn inspect_result_of_sign_in(self, client: &Client, change: Option<ClientChange>) {
        let events = self.inspect_result().expect("signs in");
        let signed_in = events.last().expect("an event");
        assert_eq!(signed_in.client.as_ref(), Some(client));
        assert!(
            matches!(signed_in.fact, AccountFact::Session(SessionFact::LoggedIn { unfamiliar, .. }) if unfamiliar == change),
            "{signed_in:?}"
        );
    }
}
