-- $1 aggregate type, $2 after which number, $3 up to which, $4 since, $5 until, $6 how many, $7 account, $8 types or null
SELECT l.seq, l.account_id, l.sequence, l.event_type, l.at, l.leaf, e.event_version, e.payload, e.metadata, e.personal,
       e.recorded_at
  FROM (SELECT *
          FROM ledger
         WHERE account_id = $7 AND seq > $2 AND seq <= $3
           AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
           AND ($8::text[] IS NULL OR event_type = ANY ($8))
         ORDER BY seq
         LIMIT $6) AS l
  LEFT JOIN LATERAL (SELECT event_version, payload::text AS payload, metadata::text AS metadata, personal, recorded_at
                       FROM events
                      WHERE aggregate_type = $1 AND aggregate_id = l.account_id::text AND sequence = l.sequence
                     OFFSET 0) AS e ON true
 ORDER BY l.seq
