-- Every listener that a node has ever had.
SELECT l.name, l.seq AS position, l.failures, l.stands_at, l.error, l.retry_at, l.parked_at,
       s.seq - l.seq + fresh.events AS behind,
       coalesce(extract(epoch FROM greatest(clock_timestamp() - coalesce(next.recorded_at, fresh.oldest), '0')), 0)::float8
           AS seconds_behind,
       (SELECT count(*) FROM listener_skips AS k WHERE k.name = l.name) AS skipped
  FROM listeners AS l, sequencer AS s,
       LATERAL (SELECT count(*) AS events, min(recorded_at) AS oldest
                  FROM events
                 WHERE transaction_id >= pg_snapshot_xmax(s.seen)
                OFFSET 0) AS fresh
  LEFT JOIN LATERAL (SELECT e.recorded_at
                       FROM ledger AS n, events AS e
                      WHERE n.seq = l.seq + 1
                        AND e.aggregate_type = 'UserAccount' AND e.aggregate_id = n.account_id::text
                        AND e.sequence = n.sequence
                     OFFSET 0) AS next ON true
 ORDER BY l.name
