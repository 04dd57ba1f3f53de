-- $1 after which account, $2 before which, $3 how many: accounts that were never signed in to, with the kind of their
-- identifier where they have one
SELECT p.account_id, i.channel
  FROM profiles AS p LEFT JOIN identifiers AS i USING (account_id)
 WHERE p.date_joined IS NULL AND p.account_id > $1 AND p.account_id < $2
 ORDER BY p.account_id
 LIMIT $3
