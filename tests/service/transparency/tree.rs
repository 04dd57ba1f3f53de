//! The tree over the ledger, its checkpoints, and proofs from it.

use std::time::Instant;

use counterfoil::audit::verify;
use counterfoil::transparency::CheckpointOutcome;
use counterfoil::transparency::tree::{TreeEdge, TreeHash, TreeHead, proves_consistency, proves_inclusion};
use counterfoil::transparency::{proofs, store};
use futures_util::future::join_all;
use serde_json::Value;
use tokio_postgres::Client;

use super::{auditor, last_checkpoint, live, sign};
use crate::support::TestApp;

fn hash(value: &Value) -> TreeHash {
    TreeHash::from_hex(value.as_str().unwrap()).unwrap()
}

fn hashes(value: &Value) -> Vec<TreeHash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

#[tokio::test]
async fn a_checkpoint_is_signed_of_what_was_numbered_and_proofs_hold_against_it() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    app.api.get("/audit/checkpoints/latest/?reason=x", &auditor.access).await.is_problem(404, "not_found");
    live(&app, 0, 3).await;
    sign(&app).await;
    let (_, former) = last_checkpoint(&app, &auditor).await;
    live(&app, 3, 3).await;
    sign(&app).await;
    let (note, checkpoint) = last_checkpoint(&app, &auditor).await;
    let keys = app.trusted_keys();
    assert_eq!(note.verify(&keys.log[0]), Ok(()));
    assert_eq!(checkpoint.origin.as_str(), "counterfoil");
    let size = checkpoint.head.size;
    assert!(former.head.size >= 12 && size >= former.head.size + 12);

    for seq in 1..=size {
        let path = format!("/audit/proofs/inclusion/?seq={seq}&size={size}&reason=proof");
        let proof = app.api.get(&path, &auditor.access).await.ok();
        let in_tree = |leaf, index| {
            proves_inclusion(&leaf, index, size, &hashes(&proof["path"]), &checkpoint.head.root)
        };
        assert!(in_tree(hash(&proof["leaf"]), seq - 1), "{seq}");
        assert!(!in_tree(TreeHash([7; 32]), seq - 1), "{seq}");
        let path = format!("/audit/events/?after={}&limit=1&reason=x", seq - 1);
        let event = app.api.get(&path, &auditor.access).await;
        assert_eq!(event.ok()["items"][0]["leaf"], proof["leaf"]);
    }
    let path = format!("/audit/proofs/consistency/?from={}&to={size}&reason=proof", former.head.size);
    let proof = app.api.get(&path, &auditor.access).await.ok();
    assert!(proves_consistency(&former.head, &checkpoint.head, &hashes(&proof["path"])));
    assert_eq!(
        (hash(&proof["from_root"]), hash(&proof["to_root"])),
        (former.head.root, checkpoint.head.root)
    );

    let listed = app.api.get("/audit/checkpoints/?limit=1&reason=x", &auditor.access).await.ok();
    assert_eq!((&listed["items"][0]["size"], &listed["next"]), (&size.into(), &size.into()));
    let listed =
        app.api.get(&format!("/audit/checkpoints/?below={size}&reason=x"), &auditor.access).await.ok();
    assert_eq!((&listed["items"][0]["size"], &listed["next"]), (&former.head.size.into(), &Value::Null));
}

#[tokio::test]
async fn positions_beyond_the_tree_and_malformed_ones_are_refused() {
    let app = TestApp::start().await;
    let auditor = auditor(&app).await;
    sign(&app).await;
    for (path, field) in [
        ("inclusion/?seq=0", "seq"),
        ("inclusion/?seq=100000", "seq"),
        ("inclusion/?seq=1&size=100000", "size"),
        ("inclusion/?seq=3&size=2", "seq"),
        ("inclusion/?seq=-1", "seq"),
        ("inclusion/?seq=x", "seq"),
        ("inclusion/?seq=9223372036854775807&size=9223372036854775807", "size"),
        ("inclusion/?size=1", "seq"),
        ("consistency/?from=100000", "from"),
        ("consistency/?from=1&to=100000", "to"),
        ("consistency/?from=3&to=2", "from"),
        ("consistency/?from=", "from"),
        ("consistency/?to=2", "from"),
    ] {
        let path = format!("/audit/proofs/{path}&reason=proof");
        app.api.get(&path, &auditor.access).await.refuses_fields(&[field]);
    }
    // The empty tree begins every tree.
    let proof = app.api.get("/audit/proofs/consistency/?from=0&reason=x", &auditor.access).await.ok();
    assert_eq!(proof["path"], serde_json::json!([]));
}

#[tokio::test]
async fn nodes_that_sign_at_once_make_one_tree() {
    let app = TestApp::start().await;
    let writers = [app.checkpoint_writer(), app.checkpoint_writer(), app.checkpoint_writer()];
    let mut signed = 0;
    for round in 0..10 {
        live(&app, round * 2, 2).await;
        let client = app.database.connect().await;
        client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
        let sequencer = counterfoil::journal::sequencer::Sequencer::new(app.journal().database().clone());
        sequencer.look().await.unwrap();
        for outcome in join_all(writers.iter().map(|writer| writer.write())).await {
            signed += u32::from(matches!(outcome.unwrap(), CheckpointOutcome::Signed(_)));
        }
    }
    assert_eq!(signed, 10);
    let found = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
    assert!(found.is_unaltered() && found.is_complete(), "{found:?}");
    assert_eq!((found.checkpoints, found.signed), (10, 80));
}

/// Puts so many numbers into the ledger as no event has.
async fn fill(client: &Client, count: i64) {
    let sql = "INSERT INTO ledger (seq, account_id, sequence, event_type, leaf)
               SELECT n, gen_random_uuid(), 1, 'LoggedIn', sha256(n::text::bytea) FROM generate_series(1, $1::bigint) AS n";
    client.execute(sql, &[&count]).await.unwrap();
}

#[tokio::test]
async fn a_tree_of_more_than_a_tile_of_tiles_is_that_of_its_leaves_and_proves_any_of_them() {
    const SIZE: i64 = 140_000;
    // The long form says what the tree costs.
    let size = std::env::var("COUNTERFOIL_TREE_EVENTS").map_or(SIZE, |events| events.parse().unwrap());
    let app = TestApp::with_settings(&[("transparency.public", "true")]).await;
    let client = app.database.connect().await;
    fill(&client, size).await;
    let (mut pages, began) = (0, Instant::now());
    while app.checkpoint_writer().write().await.unwrap() != CheckpointOutcome::Idle {
        pages += 1;
    }
    assert_eq!(pages, (size - 1) / 50_000 + 1);
    eprintln!(
        "{size} events: {:?} an event, written and signed",
        began.elapsed() / u32::try_from(size).unwrap()
    );
    let (mut edge, mut heads) = (TreeEdge::default(), vec![TreeEdge::default().head()]);
    let leaves = client.query("SELECT leaf FROM ledger ORDER BY seq", &[]).await.unwrap();
    let leaves: Vec<TreeHash> =
        leaves.iter().map(|row| TreeHash(row.get::<_, &[u8]>(0).try_into().unwrap())).collect();
    for leaf in &leaves {
        edge.push(*leaf, |_, _| {});
        heads.push(edge.head());
    }
    let last = store::last_checkpoint(&app.journal().database().connection().await.unwrap()).await;
    assert_eq!(last.unwrap().unwrap().checkpoint.head, edge.head());

    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let connection = app.journal().database().connection().await.unwrap();
    let mut times = Vec::new();
    for _ in 0..200 {
        let size = random.i64(1..=size);
        let (seq, former) = (random.i64(1..=size), random.i64(0..=size));
        let head = |size: i64| -> TreeHead { heads[usize::try_from(size).unwrap()] };
        let began = Instant::now();
        let proof = proofs::inclusion(&connection, seq, size).await.unwrap();
        times.push(began.elapsed());
        assert_eq!(proof.leaf, leaves[usize::try_from(seq).unwrap() - 1], "seed {seed}");
        let (index, of) = (seq.unsigned_abs() - 1, size.unsigned_abs());
        assert!(
            proves_inclusion(&proof.leaf, index, of, &proof.path, &head(size).root),
            "seed {seed}: {seq} {size}"
        );
        let began = Instant::now();
        let path = proofs::consistency(&connection, former, size).await.unwrap();
        times.push(began.elapsed());
        assert!(proves_consistency(&head(former), &head(size), &path), "seed {seed}: {former} {size}");
    }

    times.sort_unstable();
    eprintln!(
        "a proof takes {:?} at the median, {:?} at most",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    if size != SIZE {
        return;
    }

    // 546 whole tiles of leaves and one of 224, two of 256 and 34 hashes above, and one of 2.
    let tile = async |path: &str| {
        let url = format!("http://{}/transparency/tile/{path}", app.api.address());
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    for (path, count) in [
        ("0/000", 256),
        ("0/545", 256),
        ("0/546.p/224", 224),
        ("0/546.p/100", 100),
        ("1/000", 256),
        ("1/001", 256),
        ("1/002.p/34", 34),
        ("2/000.p/2", 2),
    ] {
        let (status, hashes) = tile(path).await;
        assert_eq!((status, hashes.len()), (200, count * 32), "{path}");
    }
    for path in [
        "0/546",
        "0/546.p/225",
        "0/547",
        "1/002",
        "1/002.p/35",
        "2/000",
        "3/000.p/1",
        "8/000",
        "0/x",
        "entries/000",
        "0/x001/000",
    ] {
        assert_eq!(tile(path).await.0, 404, "{path}");
    }
    let (_, hashes) = tile("0/000").await;
    assert_eq!(hashes[..32], leaves[0].0);
}

#[tokio::test]
async fn everybody_reads_checkpoints_and_tiles_only_where_that_is_set() {
    for (public, status) in [("false", 404), ("true", 200)] {
        let app = TestApp::with_settings(&[("transparency.public", public)]).await;
        live(&app, 0, 2).await;
        sign(&app).await;
        for path in ["checkpoint", "tile/0/000.p/8"] {
            let url = format!("http://{}/transparency/{path}", app.api.address());
            let answer = reqwest::get(url).await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{path}");
        }
    }
}

#[tokio::test]
async fn what_an_owner_of_all_tables_edits_is_found() {
    let app = TestApp::start().await;
    live(&app, 0, 80).await;
    sign(&app).await;
    live(&app, 80, 5).await;
    sign(&app).await;
    let client = app.database.connect().await;
    let tables =
        ["events", "ledger", "heads", "ledger_spans", "sequencer", "tree", "tree_tiles", "checkpoints"];
    for table in tables {
        client.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.unwrap();
    }
    let swapped = "UPDATE ledger SET seq = -7 WHERE seq = 7; UPDATE ledger SET seq = 7 WHERE seq = 9; UPDATE ledger SET seq = 9 WHERE seq = -7";
    for (sql, unaltered, complete) in [
        (swapped, false, true),
        ("UPDATE ledger SET leaf = sha256('x') WHERE seq = 300", false, true),
        ("UPDATE tree_tiles SET hashes = set_byte(hashes, 5, 255 - get_byte(hashes, 5))", false, true),
        ("DELETE FROM tree_tiles", false, true),
        ("UPDATE tree_tiles SET hashes = hashes || sha256('x')", false, true),
        ("UPDATE tree SET edge = set_byte(edge, 5, 255 - get_byte(edge, 5))", false, true),
        ("UPDATE tree SET size = size - 1", false, true),
        ("UPDATE tree SET size = size + 1", false, false),
        ("UPDATE checkpoints SET note = replace(note, '—', '-')", false, true),
        ("UPDATE checkpoints SET note = overlay(note placing 'A' from length(note) - 40)", false, true),
        ("UPDATE checkpoints SET size = size - 1", false, true),
        ("UPDATE checkpoints SET note = (SELECT max(note) FROM checkpoints)", false, true),
        (
            "DELETE FROM ledger WHERE seq = 340; UPDATE sequencer SET seq = 339; DELETE FROM events WHERE (aggregate_id, sequence) IN
                (SELECT account_id::text, sequence FROM kept_ledger WHERE seq = 340);
             UPDATE heads SET version = k.sequence - 1, leaf = e.leaf FROM kept_ledger AS k, events AS e
              WHERE k.seq = 340 AND heads.account_id = k.account_id AND e.aggregate_id = k.account_id::text
                AND e.sequence = k.sequence - 1",
            true,
            false,
        ),
    ] {
        client.batch_execute(sql).await.unwrap();
        let found = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
        assert_eq!((found.is_unaltered(), found.is_complete()), (unaltered, complete), "{sql}: {found:?}");
        for table in tables {
            let restore = format!("DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}");
            client.batch_execute(&restore).await.unwrap();
        }
    }
    let found = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
    assert!(found.is_unaltered() && found.is_complete(), "{found:?}");
}
