-- $1 name, $2 lease, $3 seconds of lease
UPDATE listeners SET lease_until = clock_timestamp() + make_interval(secs => $3) WHERE name = $1 AND lease = $2
