-- Whether the server takes writes, its time, for how long the first event without a number has been waiting for it, and how far the log
-- and the last of its read models have come.
SELECT current_setting('transaction_read_only')::bool AS read_only,
       clock_timestamp() AS server_time,
       (SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8
          FROM events
         WHERE transaction_id >= pg_snapshot_xmax(s.seen)
         ORDER BY transaction_id
         LIMIT 1) AS waiting,
       (SELECT min(seq) FROM followers) AS followed,
       s.seq AS numbered
  FROM sequencer AS s
