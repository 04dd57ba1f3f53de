-- $1 since when, $2 after which account of that time, $3 how many: what erasures destroyed, in their order.
SELECT account_id, erased_at, sequence, encode(leaf, 'hex') AS leaf, keys, rows
  FROM erasures
 WHERE erased_at >= $1 AND (erased_at, account_id) > ($1, $2)
 ORDER BY erased_at, account_id
 LIMIT $3
