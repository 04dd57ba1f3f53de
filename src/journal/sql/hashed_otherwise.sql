-- $1 id of the active lookup key, $2 the hash that the page comes after, $3 length of the page
-- With what the profile says, which is nearly always the identifier that the hash is of.
SELECT i.lookup, i.account_id, i.channel, p.phone_number, p.email
  FROM identifiers AS i LEFT JOIN profiles AS p USING (account_id)
 WHERE i.key_id IS DISTINCT FROM $1 AND i.lookup > $2
 ORDER BY i.lookup
 LIMIT $3
