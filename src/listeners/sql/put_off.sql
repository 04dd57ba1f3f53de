-- $1 name, $2 lease, $3 the number of the event that failed, $4 what failed, $5 seconds until it is tried again, $6 after how many
-- failures in a row the listener is parked
-- Gives the lease up, so that any node can try next.
UPDATE listeners
   SET failures = failures + 1, stands_at = $3, error = $4, lease_until = '-infinity',
       retry_at = clock_timestamp() + make_interval(secs => $5),
       parked_at = CASE WHEN failures + 1 >= $6 THEN coalesce(parked_at, clock_timestamp()) END
 WHERE name = $1 AND lease = $2
RETURNING failures, parked_at IS NOT NULL AS is_parked
