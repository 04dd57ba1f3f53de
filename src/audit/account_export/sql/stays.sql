-- $1 account, $2 the session and the beginning of the stay after which to begin, $3 how many
SELECT ARRAY[session_id::text, since::text] AS place, session_id, since, ip_address
  FROM stays
 WHERE account_id = $1 AND (session_id, since) > (($2::text[])[1]::uuid, ($2::text[])[2]::timestamptz)
 ORDER BY session_id, since
 LIMIT $3
