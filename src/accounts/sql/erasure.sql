-- $1 account: what its erasure destroyed.
SELECT account_id, erased_at, sequence, encode(leaf, 'hex') AS leaf, keys, rows FROM erasures WHERE account_id = $1
