-- $1 name, $2 the number of the event that the listener stands at, $3 reason
-- Not while a node hands the event over.
WITH moved AS (
    UPDATE listeners
       SET seq = stands_at, failures = 0, stands_at = NULL, error = NULL, retry_at = NULL, parked_at = NULL
     WHERE name = $1 AND stands_at = $2 AND lease_until < clock_timestamp()
    RETURNING name
)
INSERT INTO listener_skips (name, seq, at, reason) SELECT name, $2, clock_timestamp(), $3 FROM moved
