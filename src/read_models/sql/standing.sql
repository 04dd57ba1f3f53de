-- $1 the name of a read model, $2, $3 the halves of the lock that a rebuild holds
-- One that does not follow the ledger is written with the events.
SELECT m.format, m.rebuild_began_at, m.rebuild_progress, m.rebuild_ended_at, m.rebuild_error, f.seq AS position,
       CASE WHEN f.seq IS NULL THEN 0 ELSE s.seq - f.seq + fresh.events END AS behind,
       CASE WHEN f.seq IS NULL THEN 0
            ELSE coalesce(extract(epoch FROM greatest(clock_timestamp() - coalesce(next.recorded_at, fresh.oldest), '0')), 0)
       END::float8 AS seconds_behind,
       EXISTS (SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND classid = $2::bigint::oid AND objid = $3::bigint::oid AND objsubid = 1
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS claimed
  FROM sequencer AS s
  JOIN read_models AS m ON m.name = $1
  LEFT JOIN followers AS f ON f.name = m.name,
       LATERAL (SELECT count(*) AS events, min(recorded_at) AS oldest
                  FROM events
                 WHERE f.seq IS NOT NULL AND transaction_id >= pg_snapshot_xmax(s.seen)
                OFFSET 0) AS fresh
  LEFT JOIN LATERAL (SELECT e.recorded_at
                       FROM ledger AS l, events AS e
                      WHERE l.seq = f.seq + 1
                        AND e.aggregate_type = 'UserAccount' AND e.aggregate_id = l.account_id::text
                        AND e.sequence = l.sequence
                     OFFSET 0) AS next ON true
