-- $1 owner, $2 seconds of lease
-- Gives the next numbers to the events that are visible now and were not when it last looked. In READ COMMITTED a
-- statement has one snapshot, so what it sees is what `pg_current_snapshot()` says. Events of the ledger are left out
-- by name as well: after a restore, old transaction numbers mean nothing. The subqueries are such that there is one way
-- to run them: from the oldest transaction that was under way at the last look, and by key into the ledger.
WITH mark AS (
    UPDATE sequencer
       SET owner = $1, lease_until = clock_timestamp() + make_interval(secs => $2)
     WHERE owner = $1 OR lease_until < clock_timestamp()
    RETURNING seq, seen
),
fresh AS (
    SELECT e.*
      FROM mark,
           LATERAL (SELECT aggregate_id::uuid AS account_id, sequence, leaf, transaction_id, recorded_at
                      FROM events
                     WHERE transaction_id >= pg_snapshot_xmin(mark.seen)
                       AND transaction_id < pg_snapshot_xmax(pg_current_snapshot())
                       AND NOT pg_visible_in_snapshot(transaction_id, mark.seen)
                    OFFSET 0) AS e
     WHERE (SELECT true FROM ledger l WHERE l.account_id = e.account_id AND l.sequence = e.sequence) IS NULL
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
