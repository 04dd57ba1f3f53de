//! Identifiers that move between accounts, on two nodes that each remember who had them.

use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{AccountId, Identifier, PhoneNumber};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const ROUNDS: usize = 12;

fn phone(number: &str) -> Value {
    json!({"phone_number": number})
}

fn account(device: &SignedInDevice) -> AccountId {
    AccountId(device.user["id"].as_str().unwrap().parse().unwrap())
}

/// Asks again for as long as it is told to come back.
pub(crate) async fn until_answered(ask: impl AsyncFn() -> ApiAnswer) -> ApiAnswer {
    for _ in 0..50 {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("no answer");
}

async fn verify_identifier(api: &ApiClient, device: &SignedInDevice, number: &str, code: &str) -> ApiAnswer {
    until_answered(async || api.verify_identifier(&device.access, &phone(number), code).await).await
}

/// The events of an account, and who has a number, as the log and the table say.
async fn history(app: &TestApp, account: AccountId) -> Vec<UserAccountEvent> {
    app.journal().history(account).await.unwrap().into_iter().map(|(_, event)| event).collect()
}

async fn owner(app: &TestApp, number: &str) -> Option<AccountId> {
    app.journal().find(&identifier(number)).await.unwrap()
}

fn identifier(number: &str) -> Identifier {
    Identifier::Phone(PhoneNumber::parse(number, None).unwrap())
}

/// What is in the database fits together: every head is as its events, every number is held by who proved it last.
pub(crate) async fn holds_together(app: &TestApp) {
    let uneven: i64 = app
        .database
        .value(
            "SELECT count(*) FROM heads h
              WHERE h.version <> (SELECT max(sequence) FROM events WHERE aggregate_id = h.account_id::text)",
        )
        .await;
    assert_eq!(uneven, 0);
    let now = counterfoil::runtime::clock::Clock::now(&*app.clock);
    let models = counterfoil_projections::ALL;
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &models, now, &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");
    let held = "SELECT array_agg(DISTINCT account_id::text || ' ' || channel) FROM identifiers";
    let held: Vec<String> = app.database.value(held).await;
    let count: i64 = app.database.value("SELECT count(*) FROM identifiers").await;
    assert_eq!(i64::try_from(held.len()).unwrap(), count, "one of a kind an account");
}

#[tokio::test]
async fn a_node_that_remembers_the_former_owner_of_a_number_never_acts_on_that_account() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    let (old, new) = ("+989121234567", "+989121234568");
    // Both nodes have learnt whose the number is.
    there.api.sign_in(old).await;
    here.advance_time(60);
    let device = here.api.sign_in(old).await;
    here.advance_time(60);
    let code = here.api.add_identifier(&device.access, &phone(new)).await.code();
    here.api.verify_identifier(&device.access, &phone(new), &code).await.ok();
    // The other node learns how the account is now by its id: all it knows is current but whose the number is.
    let refreshed = there.api.refresh(&device.refresh).await.ok();
    assert_eq!(refreshed["token_type"], "Bearer");
    let before = history(&here, account(&device)).await;

    for (number, owners) in [(old, false), (new, true)] {
        for node in [&there, &here] {
            here.advance_time(60);
            let user = node.api.sign_in(number).await.user;
            assert_eq!(user["id"] == device.user["id"], owners, "{number}");
            assert_eq!(user["phone_number"], number);
        }
        if number == old {
            assert_eq!(history(&here, account(&device)).await, before, "it was left alone");
        }
    }
    holds_together(&here).await;
}

#[tokio::test]
async fn a_number_is_replaced_while_the_other_node_is_asked_to_sign_in_by_it() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    for round in 0..ROUNDS {
        let (old, new) = (&format!("+98912123{round:04}"), &format!("+98913123{round:04}"));
        let first = there.api.sign_in(old).await;
        here.advance_time(60);
        let device = here.api.sign_in(old).await;
        let code = here.api.add_identifier(&device.access, &phone(new)).await.code();
        here.advance_time(60);
        let replace = verify_identifier(&here.api, &device, new, &code);
        let use_it = async {
            let refreshed = until_answered(async || there.api.refresh(&first.refresh).await).await;
            let logins = [old, new].map(|number| {
                let api = there.api.clone();
                async move { until_answered(async || api.login(number).await).await }
            });
            let [by_old, by_new] = logins;
            let (by_old, by_new) = tokio::join!(by_old, by_new);
            (refreshed, by_old, by_new)
        };
        let (replaced, (_, by_old, by_new)) = tokio::join!(replace, use_it);
        assert_eq!(replaced.ok()["phone_number"], **new);
        let events = history(&here, account(&device)).await;
        let at = events.iter().position(|event| event.released().is_some()).unwrap();
        let names_old = |event: &UserAccountEvent| {
            event.person.as_ref().is_some_and(|person| person.identifier == Some(identifier(old)))
        };
        assert!(!events[at..].iter().any(names_old), "the account let it go");
        // The new number's code can only have been too soon after one that the account was sent to the old.
        if by_new.status == 406 {
            assert!(events[..at].iter().rev().take(2).any(names_old), "{events:?}");
        } else {
            by_new.ok();
        }
        assert_eq!(owner(&here, new).await, Some(account(&device)));
        assert_ne!(owner(&here, old).await, Some(account(&device)));
        // The code that was sent to the old number signs in where it was asked for, if at all.
        let signed_in = there.api.verify(old, &by_old.code()).await;
        if signed_in.status == 200 {
            let user = signed_in.signed_in().user;
            assert!(user["id"] != device.user["id"] && user["phone_number"] == **old);
        } else {
            signed_in.is_problem(400, "invalid_code");
        }
    }
    holds_together(&here).await;
}

#[tokio::test]
async fn of_two_accounts_that_prove_one_number_at_once_one_gets_it() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    for round in 0..ROUNDS {
        let number = &format!("+98912123{round:04}");
        let mut rivals = Vec::new();
        for (node, prefix) in [(&here, "+98913123"), (&there, "+98915123")] {
            let device = node.api.sign_in(&format!("{prefix}{round:04}")).await;
            let code = node.api.add_identifier(&device.access, &phone(number)).await.code();
            here.advance_time(60);
            rivals.push((device, code));
        }
        let answers = tokio::join!(
            verify_identifier(&here.api, &rivals[0].0, number, &rivals[0].1),
            verify_identifier(&there.api, &rivals[1].0, number, &rivals[1].1),
        );
        let answers = [answers.0, answers.1];
        let winner = usize::from(answers[1].status == 200);
        answers[1 - winner].is_problem(409, "identifier_taken");
        assert_eq!(answers[winner].ok()["phone_number"], **number);
        assert_eq!(owner(&here, number).await, Some(account(&rivals[winner].0)));
        let loser = history(&here, account(&rivals[1 - winner].0)).await;
        assert!(loser.iter().all(|event| event.acquired().is_none()));
        for node in [&here, &there] {
            here.advance_time(60);
            assert_eq!(node.api.sign_in(number).await.user["id"], rivals[winner].0.user["id"]);
        }
    }
    holds_together(&here).await;
}

#[tokio::test]
async fn a_number_that_is_signed_up_with_and_taken_at_once_is_one_account_s() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    for round in 0..ROUNDS {
        let number = &format!("+98912123{round:04}");
        let device = here.api.sign_in(&format!("+98913123{round:04}")).await;
        let sign_up = there.api.login(number).await.code();
        here.advance_time(60);
        let code = here.api.add_identifier(&device.access, &phone(number)).await.code();
        let (taken, signed_up) = tokio::join!(
            verify_identifier(&here.api, &device, number, &code),
            until_answered(async || there.api.verify(number, &sign_up).await),
        );
        if taken.status == 200 {
            signed_up.is_problem(400, "invalid_code");
            assert_eq!(owner(&here, number).await, Some(account(&device)));
        } else {
            taken.is_problem(409, "identifier_taken");
            let owner_now = signed_up.signed_in();
            assert_eq!(owner_now.user["phone_number"], **number);
            assert_eq!(owner(&here, number).await, Some(account(&owner_now)));
            assert_eq!(here.api.profile(&device.access).await.ok(), device.user);
        }
    }
    holds_together(&here).await;
}

#[tokio::test]
async fn of_two_nodes_that_remove_both_identifiers_at_once_one_leaves_one() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    for round in 0..ROUNDS {
        let (number, address) = (&format!("+98912123{round:04}"), &format!("ada{round}@example.com"));
        let device = here.api.sign_in(number).await;
        let email = json!({"email": address});
        let code = here.api.add_identifier(&device.access, &email).await.code();
        here.api.verify_identifier(&device.access, &email, &code).await.ok();
        // Both nodes remember the account with both.
        there.api.profile(&device.access).await.ok();
        let remove = async |api: &ApiClient, identifier: &str| {
            let path = format!("/accounts/identifiers/{identifier}/");
            let request = || api.request(Method::DELETE, &path).bearer_auth(&device.access);
            until_answered(async || ApiClient::send(request()).await).await
        };
        let answers = tokio::join!(remove(&here.api, number), remove(&there.api, address));
        let answers = [answers.0, answers.1];
        let removed = usize::from(answers[1].status == 204);
        assert_eq!(answers[removed].status, 204);
        answers[1 - removed].is_problem(409, "last_identifier");
        let profile = here.api.profile(&device.access).await.ok();
        let left = [&profile["phone_number"], &profile["email"]];
        assert_eq!((left[removed].is_null(), left[1 - removed].is_null()), (true, false));
        let events = history(&here, account(&device)).await;
        assert_eq!(events.iter().filter(|event| event.released().is_some()).count(), 1);
    }
    holds_together(&here).await;
}
