-- $1 last number, $2 snapshot, $3 cluster, $4 owner, $5 seconds of lease
UPDATE sequencer
   SET seq = $1, seen = $2::text::pg_snapshot, cluster = $3, owner = $4,
       lease_until = clock_timestamp() + make_interval(secs => $5)
