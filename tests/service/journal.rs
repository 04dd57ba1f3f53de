//! The journal on a real PostgreSQL: what it writes, what it refuses, what others read from it.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use counterfoil::crypto::entropy;
use counterfoil::crypto::keyring::{KeyPurpose, Keyring};
use counterfoil::crypto::personal_data::PersonalData;
use counterfoil::journal::{AccountRef, AppendOutcome, Commit, Journal, LoadedAccount, replay};
use counterfoil::postgres::Database;
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::user_account::{
    AccountFact, IdentifierFact, PersonalDetails, ProfileFact, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Channel, EmailAddress, Identifier, PhoneNumber};
use cqrs_es::{Aggregate as _, EventStore as _};
use serde_json::json;

use crate::support::TestApp;

const PHONE: &str = "+989121234567";

fn identifier(number: &str) -> Identifier {
    Identifier::Phone(PhoneNumber::parse(number, None).unwrap())
}

/// A commit of one event, on an account as it was loaded.
fn commit(app: &TestApp, journal: &Journal, loaded: LoadedAccount) -> Arc<Commit> {
    commit_of(app, journal, loaded, AccountFact::Profile(ProfileFact::ProfileUpdated {}), None)
}

fn commit_of(
    app: &TestApp,
    journal: &Journal,
    loaded: LoadedAccount,
    fact: AccountFact,
    identifier: Option<Identifier>,
) -> Arc<Commit> {
    let person =
        identifier.map(|known| PersonalDetails { identifier: Some(known), ..PersonalDetails::default() });
    let event = UserAccountEvent { at: app.clock.now(), fact, person, client: None };
    let mut state = loaded.head.state.clone();
    state.apply(event.clone());
    let id = entropy::uuid_v7(app.clock.now());
    Arc::new(Commit::new(id, None, loaded, state, vec![event], Vec::new(), journal.personal_data()).unwrap())
}

/// Which of the commits are durable after being sent.
async fn happened(journal: &Journal, commits: &[Arc<Commit>]) -> Vec<bool> {
    journal.append_all(commits).await.unwrap().iter().map(AppendOutcome::is_committed).collect()
}

async fn events(app: &TestApp) -> i64 {
    app.database.value("SELECT count(*) FROM events").await
}

#[tokio::test]
async fn the_event_store_of_cqrs_es_rebuilds_the_state_that_the_head_holds() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let device = app.api.refresh(&device.refresh).await.ok();
    app.api.rename(device["access_token"].as_str().unwrap(), "Ada").await.ok();
    app.api.logout(device["refresh_token"].as_str().unwrap()).await;
    app.advance_time(61);
    app.api.sign_in(PHONE).await;
    app.api.login(PHONE).await;

    let journal = app.journal();
    let head = journal.load_anew(&AccountRef::Identifier(identifier(PHONE)), app.clock.now()).await.unwrap();
    let store = replay::stock_store(journal.database()).await.unwrap();
    let rebuilt = store.load_aggregate(&head.head.account.to_string()).await.unwrap();
    assert_eq!(i64::try_from(rebuilt.current_sequence).unwrap(), head.head.version);
    assert_eq!(rebuilt.aggregate, head.head.state);
    assert!(head.head.version >= 9);
}

#[tokio::test]
async fn a_head_of_another_format_is_folded_again_from_its_events() {
    let app = TestApp::start().await;
    app.api.sign_in(PHONE).await;
    let (journal, address) = (app.journal(), AccountRef::Identifier(identifier(PHONE)));
    let before = journal.load_anew(&address, app.clock.now()).await.unwrap();
    let client = app.database.connect().await;
    client.execute("UPDATE heads SET state_format = 0, state = 'another format'", &[]).await.unwrap();
    let after = journal.load_anew(&address, app.clock.now()).await.unwrap();
    assert_eq!(after.head.state, before.head.state);
    app.advance_time(61);
    app.api.sign_in(PHONE).await;
}

#[tokio::test]
async fn of_two_commits_on_one_version_one_is_stale_and_leaves_nothing() {
    let app = TestApp::start().await;
    app.api.sign_in(PHONE).await;
    let (journal, address) = (app.journal(), AccountRef::Identifier(identifier(PHONE)));
    let loaded = journal.load_anew(&address, app.clock.now()).await.unwrap();
    let (first, second) = (commit(&app, &journal, loaded.clone()), commit(&app, &journal, loaded));
    let before = events(&app).await;
    assert_eq!(happened(&journal, &[first]).await, [true]);
    assert_eq!(happened(&journal, &[second]).await, [false]);
    assert_eq!(events(&app).await, before + 1);
}

#[tokio::test]
async fn a_commit_that_is_sent_again_takes_effect_once() {
    let app = TestApp::start().await;
    app.api.sign_in(PHONE).await;
    let journal = app.journal();
    for address in [identifier(PHONE), identifier("+989127654321")].map(AccountRef::Identifier) {
        let loaded = journal.load_anew(&address, app.clock.now()).await.unwrap();
        let commits = [commit(&app, &journal, loaded)];
        let before = events(&app).await;
        for _ in 0..3 {
            assert_eq!(happened(&journal, &commits).await, [true]);
        }
        assert_eq!(events(&app).await, before + 1);
    }
}

#[tokio::test]
async fn of_two_new_accounts_for_one_identifier_only_the_first_is_kept() {
    let app = TestApp::start().await;
    let (journal, address) = (app.journal(), AccountRef::Identifier(identifier(PHONE)));
    let first = journal.load_anew(&address, app.clock.now()).await.unwrap();
    let second = journal.load_anew(&address, app.clock.now()).await.unwrap();
    assert_ne!(first.head.account, second.head.account);
    let winner = first.head.account;
    // In one statement even, the one that comes first takes it and the other leaves nothing.
    let commits = [commit(&app, &journal, first), commit(&app, &journal, second)];
    assert_eq!(happened(&journal, &commits).await, [true, false]);
    assert_eq!(journal.load_anew(&address, app.clock.now()).await.unwrap().head.account, winner);
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM heads").await, 1);
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM account_keys").await, 2);
}

#[tokio::test]
async fn in_a_batch_a_stale_commit_leaves_its_neighbours_alone() {
    let app = TestApp::start().await;
    let journal = app.journal();
    let mut loaded = Vec::new();
    for n in 0..20 {
        let address = AccountRef::Identifier(identifier(&format!("+9891212345{n:02}")));
        loaded.push(journal.load_anew(&address, app.clock.now()).await.unwrap());
    }
    let founding: Vec<Arc<Commit>> =
        loaded.iter().map(|loaded| commit(&app, &journal, loaded.clone())).collect();
    assert_eq!(happened(&journal, &founding).await, [true; 20]);

    let mut second = Vec::new();
    for loaded in loaded {
        let now =
            journal.load_anew(&AccountRef::Account(loaded.head.account), app.clock.now()).await.unwrap();
        second.push(commit(&app, &journal, now));
    }
    assert_eq!(happened(&journal, &second[7..8]).await, [true]);
    second[7] = {
        let late = journal
            .load_anew(&AccountRef::Account(AccountId(uuid::Uuid::nil())), app.clock.now())
            .await
            .unwrap();
        assert_eq!(late.head.version, 0);
        founding[7].clone()
    };
    let all = happened(&journal, &second).await;
    // The founding commit did happen, long ago; it is known by its id and adds nothing.
    assert_eq!(all, [true; 20]);
    assert_eq!(events(&app).await, 40);
}

#[tokio::test]
async fn a_commit_reserves_and_releases_identifiers_together_or_not_at_all() {
    let app = TestApp::start().await;
    let journal = app.journal();
    let numbers = ["+989121234560", "+989121234561", "+989121234562"];
    for number in numbers {
        app.api.sign_in(number).await;
    }
    let load = async |number: &str| {
        let address = AccountRef::Identifier(identifier(number));
        journal.load_anew(&address, app.clock.now()).await.unwrap()
    };
    let email = |name: &str| Identifier::Email(EmailAddress::parse(&format!("{name}@example.com")).unwrap());
    let added = |loaded: &LoadedAccount, name| {
        let fact = AccountFact::Identifier(IdentifierFact::IdentifierAdded { channel: Channel::Email });
        commit_of(&app, &journal, loaded.clone(), fact, Some(email(name)))
    };
    let replaced = |loaded: &LoadedAccount, by: Identifier| {
        let fact = AccountFact::Identifier(IdentifierFact::IdentifierReplaced { channel: by.channel() });
        commit_of(&app, &journal, loaded.clone(), fact, Some(by))
    };
    let [first, second, third] = [load(numbers[0]).await, load(numbers[1]).await, load(numbers[2]).await];
    let held = async |identifier: Identifier| journal.find(&identifier).await.unwrap();

    // By itself and among others, what is stale leaves no reservation, and the neighbours are served.
    assert_eq!(happened(&journal, &[added(&first, "a")]).await, [true]);
    assert_eq!(happened(&journal, &[added(&first, "b")]).await, [false]);
    let batch = [added(&first, "c"), added(&second, "a"), commit(&app, &journal, third.clone())];
    assert_eq!(happened(&journal, &batch).await, [false, false, true]);
    assert_eq!(held(email("a")).await, Some(first.head.account));
    assert_eq!((held(email("b")).await, held(email("c")).await), (None, None));
    // Of two that want the same, one gets it.
    let batch = [added(&second, "d"), added(&load(numbers[2]).await, "d")];
    let both = happened(&journal, &batch).await;
    assert_eq!(both.iter().filter(|happened| **happened).count(), 1);
    let winner = if both[0] { &second } else { &third };
    assert_eq!(held(email("d")).await, Some(winner.head.account));

    // One goes as the other comes, of that kind and that account alone; and once, however often it is sent.
    let first = load(numbers[0]).await;
    let batch = [replaced(&first, email("e")), commit(&app, &journal, load(numbers[1]).await)];
    for _ in 0..2 {
        assert_eq!(happened(&journal, &batch).await, [true, true]);
        assert_eq!((held(email("a")).await, held(email("e")).await), (None, Some(first.head.account)));
    }
    assert_eq!(happened(&journal, &[replaced(&first, email("f"))]).await, [false]);
    assert_eq!((held(email("e")).await, held(email("f")).await), (Some(first.head.account), None));
    assert_eq!(held(identifier(numbers[0])).await, Some(first.head.account));
    let first = load(numbers[0]).await;
    assert_eq!(happened(&journal, &[replaced(&first, identifier("+989121234569"))]).await, [true]);
    assert_eq!(held(identifier(numbers[0])).await, None);
    assert_eq!(held(email("d")).await, Some(winner.head.account));
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM identifiers").await, 5);
}

#[tokio::test]
async fn the_leaf_hashes_of_the_ledger_follow_their_description() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.rename(&device.access, "Ada").await.ok();
    let client = app.database.connect().await;
    let rows = client
        .query(
            "SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text AS payload,
                    metadata::text AS metadata, personal, leaf FROM events ORDER BY sequence",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 4);
    let mut previous = vec![0; 32];
    for row in rows {
        let mut hash = Context::new(&SHA256);
        hash.update(&[0]);
        let mut column = |bytes: &[u8]| {
            hash.update(&u64::try_from(bytes.len()).unwrap().to_be_bytes());
            hash.update(bytes);
        };
        column(row.get::<_, &str>("aggregate_type").as_bytes());
        column(row.get::<_, &str>("aggregate_id").as_bytes());
        column(&row.get::<_, i64>("sequence").to_be_bytes());
        for name in ["event_type", "event_version", "payload", "metadata"] {
            column(row.get::<_, &str>(name).as_bytes());
        }
        let personal: &[u8] = row.get("personal");
        hash.update(&[1]);
        hash.update(&u64::try_from(personal.len()).unwrap().to_be_bytes());
        hash.update(personal);
        hash.update(&previous);
        previous = hash.finish().as_ref().to_vec();
        assert_eq!(row.get::<_, Vec<u8>>("leaf"), previous);
    }
    assert_eq!(app.database.value::<Vec<u8>>("SELECT leaf FROM heads").await, previous);
}

#[tokio::test]
async fn every_event_says_which_commit_and_which_request_wrote_it() {
    let app = TestApp::start().await;
    let request = app.api.request(reqwest::Method::POST, "/accounts/login/");
    let request =
        request.header("x-request-id", "0123456789abcdef").json(&serde_json::json!({"phone_number": PHONE}));
    crate::support::ApiClient::send(request).await.ok();
    let metadata: serde_json::Value =
        serde_json::from_str(&app.database.value::<String>("SELECT metadata::text FROM events").await)
            .unwrap();
    assert_eq!(metadata["request"], "0123456789abcdef");
    assert!(uuid::Uuid::try_parse(metadata["commit"].as_str().unwrap()).is_ok());
}

/// The journal of a node that has read that keyring.
fn journal_with(app: &TestApp, keyring: &Keyring) -> Journal {
    let database = Database::new(&app.database.url.0, 2).unwrap();
    Journal::new(database, PersonalData::new(keyring), app.clock.clone())
}

/// The keyrings of the steps by which the lookup key is replaced, each as the one before it left it.
fn steps_of_the_lookup_key(app: &TestApp) -> [Keyring; 4] {
    let former = app.keyring.active(KeyPurpose::Lookup).id.clone();
    let next = |keyring: &Keyring| {
        let mut keyring = keyring.clone();
        keyring.rotate(KeyPurpose::Lookup, None).unwrap();
        keyring
    };
    let pending = next(&app.keyring);
    let active = next(&pending);
    let mut alone = active.clone();
    alone.retire(KeyPurpose::Lookup, former.as_str()).unwrap();
    [app.keyring.clone(), pending, active, alone]
}

/// What a node decides for the first request of an identifier, before it sends it.
async fn first_request(app: &TestApp, journal: &Journal, number: &str) -> Arc<Commit> {
    let known = identifier(number);
    let address = AccountRef::Identifier(known.clone());
    let loaded = journal.load_anew(&address, app.clock.now()).await.unwrap();
    commit_of(app, journal, loaded, AccountFact::Profile(ProfileFact::ProfileUpdated {}), Some(known))
}

async fn owner(app: &TestApp, journal: &Journal, number: &str) -> AccountId {
    let address = AccountRef::Identifier(identifier(number));
    journal.load_anew(&address, app.clock.now()).await.unwrap().head.account
}

#[tokio::test]
async fn a_new_identifier_is_one_accounts_whichever_step_of_the_lookup_key_each_of_two_nodes_has_read() {
    let app = TestApp::start().await;
    let journals = steps_of_the_lookup_key(&app).map(|keyring| journal_with(&app, &keyring));
    let mut numbers = (0..).map(|n| format!("+98912{n:07}"));
    let mut taken = 0;
    for (behind, ahead) in journals.iter().zip(&journals[1..]) {
        for (first, second) in [(behind, ahead), (ahead, behind)] {
            let number = numbers.next().unwrap();
            let [one, other] =
                [first_request(&app, first, &number).await, first_request(&app, second, &number).await];
            assert_eq!(happened(first, &[one]).await, [true]);
            assert_eq!(happened(second, &[other]).await, [false]);
            assert_eq!(owner(&app, first, &number).await, owner(&app, second, &number).await);
            taken += 1;
        }
        for number in numbers.by_ref().take(20) {
            let [one, other] =
                [first_request(&app, behind, &number).await, first_request(&app, ahead, &number).await];
            let (one, other) = ([one], [other]);
            let (here, there) = tokio::join!(happened(behind, &one), happened(ahead, &other));
            assert!(here[0] != there[0], "{number}: {here:?}, {there:?}");
            assert_eq!(owner(&app, behind, &number).await, owner(&app, ahead, &number).await);
            taken += 1;
        }
        // What only the former key finds goes on to be found by the nodes of the next step, until it is hashed anew.
        if std::ptr::eq(ahead, &journals[2]) {
            let rehashed = ahead.rehash(&mut |_, _| {}).await.unwrap();
            assert!(rehashed.rehashed > 0 && rehashed.lost + rehashed.held == 0, "{rehashed:?}");
        }
    }
    for table in ["identifiers", "heads"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(app.database.value::<i64>(&count).await, taken, "{table}");
    }
}

#[tokio::test]
async fn a_request_from_before_an_identifier_was_taken_and_hashed_anew_does_not_take_it() {
    let app = TestApp::start().await;
    let [_, pending, active, _] = steps_of_the_lookup_key(&app).map(|keyring| journal_with(&app, &keyring));
    let late = first_request(&app, &pending, PHONE).await;
    let first = first_request(&app, &pending, PHONE).await;
    assert_eq!(happened(&pending, std::slice::from_ref(&first)).await, [true]);
    assert_eq!(active.rehash(&mut |_, _| {}).await.unwrap().rehashed, 1);
    assert_eq!(happened(&pending, &[late]).await, [false]);
    // A commit whose answer was lost is sent again as it is, and happened.
    assert_eq!(happened(&pending, &[first]).await, [true]);
    assert_eq!(owner(&app, &pending, PHONE).await, owner(&app, &active, PHONE).await);
}

#[tokio::test]
async fn every_kind_of_identifier_is_hashed_anew_whatever_read_models_know_of_it() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let email = json!({"email": "ada@example.com"});
    let code = app.api.add_identifier(&device.access, &email).await.code();
    app.api.verify_identifier(&device.access, &email, &code).await.ok();
    // Two that no profile knows: one that was never proved, and one whose profile is gone. One that cannot be opened any more.
    let [asked, behind, gone] = ["+989120000001", "+989120000002", "+989120000003"];
    app.api.login(asked).await.code();
    let behind_device = app.api.sign_in(behind).await;
    let gone_device = app.api.sign_in(gone).await;
    let client = app.database.connect().await;
    let deleted = [behind_device.account().0, gone_device.account().0];
    client.execute("DELETE FROM profiles WHERE account_id = ANY ($1)", &[&deleted.as_slice()]).await.unwrap();
    client
        .execute("DELETE FROM account_keys WHERE account_id = $1", &[&gone_device.account().0])
        .await
        .unwrap();
    // As a version wrote them that kept no names of keys.
    client.execute("UPDATE identifiers SET key_id = NULL WHERE channel = 'email'", &[]).await.unwrap();

    let [_, _, active, alone] = steps_of_the_lookup_key(&app).map(|keyring| journal_with(&app, &keyring));
    let former = app.keyring.active(KeyPurpose::Lookup).id.clone();
    assert_eq!(active.hashed_with(former.as_str()).await.unwrap(), 5);
    let rehashed = active.rehash(&mut |_, _| {}).await.unwrap();
    assert_eq!((rehashed.rehashed, rehashed.lost, rehashed.held), (4, 1, 0));
    assert_eq!(active.hashed_with(former.as_str()).await.unwrap(), 1);
    assert_eq!(active.rehash(&mut |_, _| {}).await.unwrap().rehashed, 0);
    assert_eq!(owner(&app, &alone, PHONE).await, device.account());
    assert_eq!(owner(&app, &alone, behind).await, behind_device.account());
    let ada = Identifier::Email(EmailAddress::parse("ada@example.com").unwrap());
    assert_eq!(alone.find(&ada).await.unwrap(), Some(device.account()));
    assert!(alone.find(&identifier(asked)).await.unwrap().is_some());
}
