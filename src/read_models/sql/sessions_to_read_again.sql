-- $1 accounts, $2 the time before which network data is forgotten, $3 the events that make rows of sessions: those that can tell more of
-- sessions that began before. A name that the user gave to a device is sealed with another key, and is kept.
SELECT w.account_id, e.sequence, e.payload::text AS payload, e.personal
  FROM unnest($1::uuid[]) AS w (account_id),
       LATERAL (SELECT sequence, payload, personal, (payload->'fact'->event_type->>'session')::uuid AS session_id
                  FROM events
                 WHERE aggregate_type = 'UserAccount' AND aggregate_id = w.account_id::text AND event_type = ANY ($3)
                   AND (event_type = 'DeviceRenamed' OR (payload->>'at')::timestamptz >= $2)
                 ORDER BY sequence) AS e
  JOIN user_logins AS login ON login.session_id = e.session_id
 WHERE login.account_id = w.account_id AND login.signed_in_at < $2
 ORDER BY w.account_id, e.sequence
