-- $1 account, $2 the event and the message of it after which to begin, $3 how many. Not the content, which is for its recipient.
SELECT ARRAY[sequence::text, number::text] AS place, sequence, number, kind, channel, language, country, asked_at, expires_at,
       due_at, attempts, state, gateway, reference, reason, settled_at
  FROM outbox
 WHERE account_id = $1 AND (sequence, number) > (($2::text[])[1]::bigint, ($2::text[])[2]::smallint)
 ORDER BY sequence, number
 LIMIT $3
