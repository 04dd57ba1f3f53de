-- $1 id of the active wrapping key, $2 and $3 the account and scope that the page comes after, $4 length of the page
SELECT account_id, scope, wrapping_id, wrapped
  FROM account_keys
 WHERE wrapping_id <> $1 AND (account_id, scope) > ($2, $3)
 ORDER BY account_id, scope
 LIMIT $4
