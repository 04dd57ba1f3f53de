-- $1 accounts: those of them that were not erased, and whether anything ever happened to them
SELECT a.account_id, EXISTS (SELECT FROM heads AS h WHERE h.account_id = a.account_id) AS exists
  FROM unnest($1::uuid[]) AS a(account_id)
 WHERE NOT EXISTS (SELECT FROM erasures AS e WHERE e.account_id = a.account_id)
 ORDER BY a.account_id
