-- $1 account: what its erasure destroyed, and how many events the log was signed with lately.
SELECT account_id, erased_at, sequence, encode(leaf, 'hex') AS leaf, keys, rows, certificate, (SELECT size FROM tree) AS log_size
  FROM erasures
 WHERE account_id = $1
