-- $1 name, $2 lease, $3 seconds of lease
-- Two nodes that claim at once wait for each other here, and the second finds the lease taken.
UPDATE listeners
   SET lease = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
 WHERE name = $1 AND lease_until < clock_timestamp() AND coalesce(retry_at <= clock_timestamp(), true)
RETURNING seq, failures
