-- $1 how many at most, $2 for how many seconds, $3 channel
-- A code is void once a later one of its kind is asked for; of notices that says nothing.
WITH due AS (
    SELECT account_id, sequence, number
      FROM outbox
     WHERE channel = $3 AND due_at <= now()
     ORDER BY due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE outbox o
   SET due_at = clock_timestamp() + make_interval(secs => $2), attempts = o.attempts + 1
  FROM due d
  LEFT JOIN account_keys k ON k.account_id = d.account_id AND k.scope = 'person'
 WHERE o.account_id = d.account_id AND o.sequence = d.sequence AND o.number = d.number
RETURNING o.account_id, o.sequence, o.number, o.kind, o.language, o.content, o.expires_at, o.due_at, o.attempts,
          k.wrapping_id, k.wrapped,
          EXISTS (SELECT FROM outbox later
                   WHERE later.account_id = o.account_id AND later.sequence > o.sequence AND later.kind = o.kind) AS is_void
