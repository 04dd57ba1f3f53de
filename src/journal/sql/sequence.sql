-- $1 owner, $2 seconds of lease
-- Gives the next numbers to the events that are visible now and were not when it last looked: those of transactions
-- that had not begun then, and of those that were under way. In READ COMMITTED a statement has one snapshot, so what it
-- sees is what `pg_current_snapshot()` says. An event before which one of its stream is missing is a gap, and the caller
-- then takes nothing of this. The subqueries are such that there is one way to run them, by index.
WITH mark AS (
    UPDATE sequencer
       SET owner = $1, lease_until = clock_timestamp() + make_interval(secs => $2)
     WHERE owner = $1 OR lease_until < clock_timestamp()
    RETURNING seq, seen
),
fresh AS (
    SELECT e.*, e.aggregate_id::uuid AS account_id, (e.payload->>'at')::timestamptz AS at,
           row_number() OVER (ORDER BY e.transaction_id, e.aggregate_id, e.sequence) AS n,
           lag(e.sequence) OVER (PARTITION BY e.aggregate_id ORDER BY e.transaction_id, e.sequence) AS previous
      FROM mark,
           LATERAL (SELECT aggregate_id, sequence, event_type, payload, leaf, transaction_id, recorded_at
                      FROM events
                     WHERE transaction_id >= pg_snapshot_xmax(mark.seen)
                    UNION ALL
                    SELECT aggregate_id, sequence, event_type, payload, leaf, transaction_id, recorded_at
                      FROM pg_snapshot_xip(mark.seen) AS unfinished (id),
                           LATERAL (SELECT * FROM events WHERE transaction_id = unfinished.id OFFSET 0) AS events
                    OFFSET 0) AS e
),
gap AS (
    SELECT account_id, sequence
      FROM fresh
     WHERE CASE WHEN previous IS NOT NULL THEN previous <> sequence - 1
                WHEN sequence = 1 THEN false
                ELSE (SELECT true FROM ledger l
                       WHERE l.account_id = fresh.account_id AND l.sequence = fresh.sequence - 1) IS NULL
           END
     LIMIT 1
),
numbered AS (
    INSERT INTO ledger (seq, account_id, sequence, event_type, at, leaf)
    SELECT mark.seq + n, account_id, sequence, event_type, at, leaf FROM fresh, mark
    RETURNING seq, at
),
spanned AS (
    INSERT INTO ledger_spans AS s (span, oldest, newest)
    SELECT seq / 1000, min(at), max(at) FROM numbered WHERE at IS NOT NULL GROUP BY 1
        ON CONFLICT (span) DO UPDATE
       SET oldest = least(s.oldest, excluded.oldest), newest = greatest(s.newest, excluded.newest)
)
SELECT (SELECT count(*) FROM fresh) AS numbered, mark.seq + (SELECT count(*) FROM fresh) AS seq,
       pg_current_snapshot()::text AS seen,
       coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(recorded_at) FROM fresh)), 0)::float8 AS lag,
       (SELECT account_id FROM gap) AS gap_account, (SELECT sequence FROM gap) AS gap_sequence
  FROM mark
