//! The measure of comparison: what a plain transaction costs, by PostgreSQL's own benchmark.

use std::path::Path;
use std::process::Command;

use super::client::LoadResult;

/// One event and one row of a view, in the sizes that a refresh writes.
const TABLES: &str = "
DROP TABLE IF EXISTS pgbench_event, pgbench_view;
CREATE TABLE pgbench_event (
    aggregate_type text, aggregate_id text, sequence bigint, event_type text, event_version text, payload json,
    metadata json, personal bytea, leaf bytea, recorded_at timestamptz DEFAULT clock_timestamp(),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence));
CREATE TABLE pgbench_view (
    account_id uuid, session_id uuid, ip_address inet, user_agent text, generation bigint, last_seen_at timestamptz,
    expires_at timestamptz, PRIMARY KEY (account_id, session_id)) WITH (fillfactor = 70);
INSERT INTO pgbench_view SELECT md5(n::text)::uuid, md5(n::text)::uuid, '127.0.0.1', 'x', 1, now(), now()
  FROM generate_series(1, 10000) n;
VACUUM ANALYZE pgbench_view;
";

const SCRIPT: &str = r#"
\set account random(1, 10000)
\set n :n + 1
BEGIN;
INSERT INTO pgbench_event (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, personal, leaf)
VALUES ('UserAccount', 'client-' || :client_id, :n, 'TokenRefreshed', '1',
  '{"at":"2026-11-22T12:16:38.656100Z","fact":{"TokenRefreshed":{"session":"01a2032f-de18-7ed4-8bcb-8cfedf55a6d7","generation":2,"expires_at":"2026-12-22T12:16:38.656100Z"}}}',
  '{"commit":"01a2032f-de18-7ed4-8bcb-8cfedf55a6d7","request":"01a2032f-de18-7ed4-8bcb-8cfedf55a6d7"}',
  decode(repeat('ab', 90), 'hex'), decode(repeat('ab', 32), 'hex'));
INSERT INTO pgbench_view VALUES (md5((:account)::text)::uuid, md5((:account)::text)::uuid, '127.0.0.1', 'x', 2, now(), now())
ON CONFLICT (account_id, session_id) DO UPDATE SET generation = pgbench_view.generation + 1,
  last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at, ip_address = excluded.ip_address;
COMMIT;
"#;

/// Runs it with so many clients for so many seconds.
pub fn run(url: &str, folder: &Path, clients: usize, seconds: u64) -> LoadResult {
    let script = folder.join("pgbench.sql");
    std::fs::write(&script, SCRIPT).unwrap();
    let psql = Command::new("psql")
        .args(["-q", url, "-c", TABLES.split("VACUUM").next().unwrap()])
        .output()
        .unwrap();
    assert!(psql.status.success(), "{psql:?}");
    let output = Command::new(binary())
        .args(["--no-vacuum", "--protocol=prepared", "--define=n=0", "--jobs=2"])
        .args(["--client", &clients.to_string(), "--time", &seconds.to_string(), "--file"])
        .arg(&script)
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |label: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(label)).unwrap_or_else(|| panic!("{output:?}"));
        line.split('=').nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    };
    let per_second = figure("tps");
    LoadResult { per_second, median_ms: figure("latency average"), p99_ms: f64::NAN }
}

/// On the path, or where Debian puts it.
fn binary() -> std::path::PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin/pgbench"))
        .find(|path| path.exists())
        .unwrap_or("pgbench".into())
}
