-- $1 aggregate type, $2 account, $3 how many events of the log are signed: the account's events among them, as they are stored
SELECT l.seq, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.payload::text AS payload,
       e.metadata::text AS metadata, e.personal, e.leaf
  FROM ledger AS l
  JOIN events AS e ON e.aggregate_type = $1 AND e.aggregate_id = l.account_id::text AND e.sequence = l.sequence
 WHERE l.account_id = $2 AND l.seq <= $3
 ORDER BY e.sequence
