//! The order of the whole log: complete, gapless, every stream in order, and never waiting for an open transaction.

use counterfoil::read_models::{FOLLOWERS, rebuild};
use std::time::{Duration, Instant};

use counterfoil::journal::sequencer::{Sequencer, SequencerOutcome};
use counterfoil::postgres::Database;
use futures_util::future::join_all;

use crate::support::TestApp;

const PHONE: &str = "+989121234567";

/// What must hold whenever the sequencer has looked: the names of what does not.
pub const RULES: &str = "
SELECT array_remove(ARRAY[
    CASE WHEN (SELECT count(*) FROM events) <> (SELECT count(*) FROM ledger) THEN 'complete' END,
    CASE WHEN (SELECT coalesce(max(seq), 0) FROM ledger) <> (SELECT count(*) FROM ledger) THEN 'gapless' END,
    CASE WHEN EXISTS (SELECT FROM ledger a JOIN ledger b USING (account_id)
                       WHERE a.sequence < b.sequence AND a.seq > b.seq) THEN 'streams in order' END,
    CASE WHEN EXISTS (SELECT FROM ledger l JOIN events e ON e.aggregate_id = l.account_id::text
                       AND e.sequence = l.sequence WHERE e.leaf <> l.leaf) THEN 'leaves' END
], NULL)";

async fn broken_rules(app: &TestApp) -> Vec<String> {
    app.database.value(RULES).await
}

fn sequencer(app: &TestApp) -> Sequencer {
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap())
}

async fn some_events(app: &TestApp, from: usize) {
    join_all((from..from + 20).map(|n| {
        let api = app.api.clone();
        async move {
            let device = api.sign_in(&format!("+9891212345{n:02}")).await;
            api.refresh(&device.refresh).await.ok();
        }
    }))
    .await;
}

#[tokio::test]
async fn every_event_gets_a_number_without_a_gap_and_in_its_streams_order() {
    let app = TestApp::start().await;
    let sequencer = sequencer(&app);
    let busy = some_events(&app, 0);
    let looking = async {
        for _ in 0..40 {
            sequencer.look().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::join!(busy, looking);
    sequencer.look().await.unwrap();
    assert_eq!(broken_rules(&app).await, Vec::<String>::new());
    assert_eq!(app.database.value::<i64>("SELECT seq FROM sequencer").await, 80);
    assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Numbered(0));
}

#[tokio::test]
async fn a_transaction_that_another_program_holds_open_neither_stalls_the_ledger_nor_makes_it_skip() {
    let app = TestApp::with_settings(&[("sessions.refreshes_per_minute", "1000000")]).await;
    let (sequencer, mut stranger) = (sequencer(&app), app.database.connect().await);
    some_events(&app, 0).await;
    // An event of the stranger's own, which becomes visible long after younger ones.
    let open = stranger.transaction().await.unwrap();
    open.batch_execute(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, leaf)
         VALUES ('UserAccount', '00000000-0000-0000-0000-000000000001', 1, 'X', '1', '{}', '{}', 'x')",
    )
    .await
    .unwrap();
    some_events(&app, 20).await;
    sequencer.look().await.unwrap();
    assert_eq!(app.database.value::<i64>("SELECT seq FROM sequencer").await, 160, "it did not wait");
    // For as long as is asked for: each event has its number at the next look, and looking does not become slower.
    let held = std::env::var("COUNTERFOIL_HELD_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let (began, mut numbered, mut slowest) = (Instant::now(), 160, Duration::ZERO);
    let device = app.api.sign_in(PHONE).await;
    let (mut refresh, mut done) = (device.refresh, 3);
    while began.elapsed() < Duration::from_secs(held) {
        for _ in 0..20 {
            let token = app.api.refresh(&refresh).await.ok();
            refresh = token["refresh_token"].as_str().unwrap().to_owned();
            done += 1;
        }
        let look = Instant::now();
        assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Numbered(done));
        slowest = slowest.max(look.elapsed());
        numbered += done;
        done = 0;
    }
    assert!(slowest < Duration::from_secs(1), "a look took {slowest:?} of {held} s with {numbered} events");
    open.commit().await.unwrap();
    assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Numbered(1), "it did not skip");
    assert_eq!(broken_rules(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_backlog_that_takes_longer_to_number_than_the_statement_timeout_is_numbered() {
    let app = TestApp::start().await;
    let sequencer = sequencer(&app);
    // The first look takes all that there is, in a cluster that is new to it.
    sequencer.look().await.unwrap();
    some_events(&app, 0).await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(5.5); RETURN NULL; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON ledger FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    app.database.connect().await.batch_execute(slow).await.unwrap();
    assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Numbered(80));
    assert_eq!(broken_rules(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn one_sequencer_at_a_time_has_the_lease_and_another_takes_over_when_it_runs_out() {
    let app = TestApp::start().await;
    let (first, second) = (sequencer(&app), sequencer(&app));
    some_events(&app, 0).await;
    assert_eq!(first.look().await.unwrap(), SequencerOutcome::Numbered(80));
    some_events(&app, 20).await;
    assert_eq!(second.look().await.unwrap(), SequencerOutcome::NotOurs);
    let client = app.database.connect().await;
    client.execute("UPDATE sequencer SET lease_until = now() - interval '1 second'", &[]).await.unwrap();
    assert_eq!(second.look().await.unwrap(), SequencerOutcome::Numbered(80));
    assert_eq!(first.look().await.unwrap(), SequencerOutcome::NotOurs);
    assert_eq!(broken_rules(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn two_sequencers_that_both_believe_in_their_lease_number_nothing_twice() {
    let app = TestApp::start().await;
    let client = app.database.connect().await;
    sequencer(&app).look().await.unwrap();
    for round in 0..10 {
        some_events(&app, round * 8).await;
        client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
        let sequencers = [sequencer(&app), sequencer(&app), sequencer(&app)];
        let looked = join_all(sequencers.iter().map(Sequencer::look)).await;
        assert!(looked.iter().any(Result::is_ok), "{looked:?}");
        client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
        sequencer(&app).look().await.unwrap();
        assert_eq!(broken_rules(&app).await, Vec::<String>::new(), "round {round}");
        app.advance_time(61);
    }
}

#[tokio::test]
async fn a_database_that_was_moved_to_another_cluster_is_recognised_and_numbered_on() {
    let app = TestApp::start().await;
    let (sequencer, client) = (sequencer(&app), app.database.connect().await);
    some_events(&app, 0).await;
    sequencer.look().await.unwrap();
    // As in a younger cluster after a restore: transaction numbers on record are ahead of the present ones.
    some_events(&app, 20).await;
    let moved = "UPDATE sequencer SET cluster = 1, seen = '900000000:900000000:', lease_until = '-infinity'";
    client.execute(moved, &[]).await.unwrap();
    assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Numbered(80));
    some_events(&app, 40).await;
    sequencer.look().await.unwrap();
    assert_eq!(broken_rules(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_without_the_one_before_it_is_refused_a_number() {
    let app = TestApp::start().await;
    let (sequencer, client) = (sequencer(&app), app.database.connect().await);
    app.api.login(PHONE).await.ok();
    sequencer.look().await.unwrap();
    let skipped =
        "INSERT INTO events SELECT aggregate_type, aggregate_id, 7, event_type, event_version, payload,
                   metadata, personal, leaf FROM events";
    client.execute(skipped, &[]).await.unwrap();
    let refused = sequencer.look().await.unwrap_err().to_string();
    assert!(refused.contains("event 7"), "{refused}");
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM ledger").await, 1);
}

#[tokio::test]
async fn an_idle_sequencer_writes_nothing() {
    let app = TestApp::start().await;
    let sequencer = sequencer(&app);
    app.api.login(PHONE).await.ok();
    sequencer.look().await.unwrap();
    // So that no renewal falls due on a slow machine.
    let client = app.database.connect().await;
    client.execute("UPDATE sequencer SET lease_until = now() + interval '1 hour'", &[]).await.unwrap();
    let row = "SELECT xmin::text::bigint FROM sequencer";
    let written: i64 = app.database.value(row).await;
    for _ in 0..10 {
        assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Numbered(0));
    }
    assert_eq!(app.database.value::<i64>(row).await, written);
}

#[tokio::test]
async fn the_login_history_follows_the_ledger_and_a_rebuild_gives_the_same() {
    let app = TestApp::start().await;
    let (sequencer, journal) = (sequencer(&app), app.journal());
    some_events(&app, 0).await;
    sequencer.look().await.unwrap();
    some_events(&app, 20).await;
    // Only what has a number is followed.
    assert_eq!(journal.follow(&FOLLOWERS).await.unwrap(), 80);
    assert_eq!(journal.follow(&FOLLOWERS).await.unwrap(), 0);
    sequencer.look().await.unwrap();
    let (one, other) = (journal.clone(), journal.clone());
    let followed = tokio::join!(one.follow(&FOLLOWERS), other.follow(&FOLLOWERS));
    assert!(followed.0.unwrap() + followed.1.unwrap() >= 80);
    let history: i64 = app.database.value("SELECT count(*) FROM login_history").await;
    // A refresh makes no line.
    assert_eq!(history, 120);
    for _ in 0..2 {
        let checked = rebuild::follower::check(&journal, FOLLOWERS[0], &mut |_| {}).await.unwrap();
        assert_eq!((checked.name, checked.rows, checked.differing), ("login_history", 120, 0));
        rebuild::follower::rebuild(&journal, FOLLOWERS[0], &mut |_| {}).await.unwrap();
    }
}

#[tokio::test]
async fn the_sequencer_announces_the_last_number() {
    let app = TestApp::start().await;
    let (client, mut connection) =
        tokio_postgres::connect(&app.database.url.0, tokio_postgres::NoTls).await.unwrap();
    let (sender, mut announced) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = futures_util::StreamExt::next(&mut messages).await {
            if let tokio_postgres::AsyncMessage::Notification(notification) = message {
                sender.send(notification.payload().to_owned()).unwrap();
            }
        }
    });
    client.batch_execute(&format!("LISTEN {}", counterfoil::journal::sequencer::CHANNEL)).await.unwrap();
    some_events(&app, 0).await;
    let began = Instant::now();
    sequencer(&app).look().await.unwrap();
    assert_eq!(announced.recv().await.unwrap(), "80");
    assert!(began.elapsed() < Duration::from_secs(5));
}
