-- $1 aggregate type, $2 owner, $3 seconds of lease
-- Gives the next numbers to the events that are visible now and were not when it last looked. In READ COMMITTED a
-- statement has one snapshot, so what it sees is what `pg_current_snapshot()` says. Events of the ledger are left out
-- by name as well: after a restore, old transaction numbers mean nothing.
WITH mark AS (
    UPDATE sequencer
       SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
     WHERE owner = $2 OR lease_until < clock_timestamp()
    RETURNING seq, seen
),
fresh AS (
    SELECT e.aggregate_id::uuid AS account_id, e.sequence, e.leaf, e.transaction_id, e.recorded_at
      FROM mark, events e
     WHERE e.transaction_id >= pg_snapshot_xmin(mark.seen)
       AND e.transaction_id < pg_snapshot_xmax(pg_current_snapshot())
       AND NOT pg_visible_in_snapshot(e.transaction_id, mark.seen)
       AND e.aggregate_type = $1
       AND NOT EXISTS (SELECT FROM ledger l WHERE l.account_id = e.aggregate_id::uuid AND l.sequence = e.sequence)
),
numbered AS (
    INSERT INTO ledger (seq, account_id, sequence, leaf)
    SELECT mark.seq + row_number() OVER (ORDER BY transaction_id, account_id, sequence), account_id, sequence, leaf
      FROM fresh, mark
    RETURNING seq
)
SELECT (SELECT count(*) FROM numbered) AS numbered, mark.seq + (SELECT count(*) FROM numbered) AS seq,
       pg_current_snapshot()::text AS seen,
       coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(recorded_at) FROM fresh)), 0)::float8 AS lag
  FROM mark
