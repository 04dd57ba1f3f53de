-- $1 aggregate type, $2 accounts
-- The events that say something of the person: the first four bytes are how long that part is.
SELECT w.account_id, e.sequence, e.event_type, e.personal, k.scope, k.wrapping_id, k.wrapped
  FROM unnest($2::uuid[]) AS w (account_id)
  JOIN account_keys AS k ON k.account_id = w.account_id AND k.scope = 'person',
       LATERAL (SELECT sequence, event_type, personal
                  FROM events
                 WHERE aggregate_type = $1 AND aggregate_id = w.account_id::text
                   AND substring(personal FOR 4) <> '\x00000000') AS e
