-- $1 after which number, $2 how many: events as they are stored, in the order of the log. A number without its event has no columns.
SELECT l.seq, coalesce(e.aggregate_type, '') AS aggregate_type, coalesce(e.aggregate_id, l.account_id::text) AS aggregate_id,
       l.sequence, coalesce(e.event_type, '') AS event_type, coalesce(e.event_version, '') AS event_version,
       coalesce(e.payload, '') AS payload, coalesce(e.metadata, '') AS metadata, e.personal, l.leaf
  FROM (SELECT seq, account_id, sequence, leaf FROM ledger WHERE seq > $1 AND seq <= $1 + $2 OFFSET 0) AS l
  LEFT JOIN LATERAL (SELECT aggregate_type, aggregate_id, event_type, event_version, payload::text AS payload,
                            metadata::text AS metadata, personal
                       FROM events
                      WHERE aggregate_type = 'UserAccount' AND aggregate_id = l.account_id::text AND sequence = l.sequence
                     OFFSET 0) AS e ON true
 ORDER BY l.seq
