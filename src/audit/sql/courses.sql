-- $1 aggregate type, $2 since or null
-- Whole streams, one after the other, of the accounts to which something has happened since then; `done` is how many accounts
-- come before each and `of` how many there are. An account's head says which event is its last, and times of a stream never
-- go back.
SELECT h.account_id, h.done, e.sequence, e.payload, e.commit
  FROM (SELECT account_id, version, row_number() OVER (ORDER BY account_id) AS done FROM heads) AS h
  JOIN LATERAL (SELECT (payload ->> 'at')::timestamptz AS at
                  FROM events
                 WHERE aggregate_type = $1 AND aggregate_id = h.account_id::text AND sequence = h.version
                OFFSET 0) AS l ON $2::timestamptz IS NULL OR l.at >= $2,
       LATERAL (SELECT sequence, payload::text AS payload, metadata ->> 'commit' AS commit
                  FROM events
                 WHERE aggregate_type = $1 AND aggregate_id = h.account_id::text
                OFFSET 0) AS e
 ORDER BY h.account_id, e.sequence
