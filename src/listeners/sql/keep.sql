-- $1 name, $2 lease, $3 the number that the listener is done with, $4 seconds of lease; 0 gives the lease up
-- The commit does not wait for the disk: a position that a crash of the server loses costs events that are handed over again.
WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS setting)
UPDATE listeners
   SET seq = $3, failures = 0, stands_at = NULL, error = NULL, retry_at = NULL, parked_at = NULL,
       lease_until = CASE WHEN $4::float8 > 0 THEN clock_timestamp() + make_interval(secs => $4) ELSE '-infinity' END
  FROM relaxed
 WHERE name = $1 AND lease = $2 AND seq <= $3 AND relaxed.setting IS NOT NULL
