-- $1 aggregate type, $2 after which number, $3 up to which, $4 since, $5 until, $6 how many, $7 types or null
SELECT l.seq, l.account_id, l.sequence, l.event_type, l.at, l.leaf, e.event_version, e.payload, e.metadata, e.personal,
       e.recorded_at
  FROM found,
       LATERAL (SELECT * FROM ledger WHERE seq = found.seq OFFSET 0) AS l
  LEFT JOIN LATERAL (SELECT event_version, payload::text AS payload, metadata::text AS metadata, personal, recorded_at
                       FROM events
                      WHERE aggregate_type = $1 AND aggregate_id = l.account_id::text AND sequence = l.sequence
                     OFFSET 0) AS e ON true
 ORDER BY l.seq
