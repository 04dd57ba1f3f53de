-- $1 account
SELECT asked_at, kind, channel, state, gateway, reference, reason, attempts, settled_at,
       extract(epoch FROM settled_at - asked_at)::double precision AS took
  FROM outbox
 WHERE account_id = $1
 ORDER BY sequence DESC, number
 LIMIT 100
