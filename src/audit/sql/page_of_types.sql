-- $1 aggregate type, $2 after which number, $3 up to which, $4 since, $5 until, $6 how many, $7 types
-- The next of each type, and of these the first. By `seq + 0` no other index gives the order: a rare type would be looked
-- for through all the others.
SELECT l.seq, l.account_id, l.sequence, l.event_type, l.at, l.leaf, e.event_version, e.payload, e.metadata, e.personal,
       e.recorded_at
  FROM (SELECT next.*
          FROM (SELECT DISTINCT unnest($7::text[]) AS event_type) AS wanted,
               LATERAL (SELECT *
                          FROM ledger
                         WHERE event_type = wanted.event_type AND seq + 0 > $2 AND seq + 0 <= $3
                           AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
                         ORDER BY seq + 0
                         LIMIT $6) AS next
         ORDER BY next.seq
         LIMIT $6) AS l
  LEFT JOIN LATERAL (SELECT event_version, payload::text AS payload, metadata::text AS metadata, personal, recorded_at
                       FROM events
                      WHERE aggregate_type = $1 AND aggregate_id = l.account_id::text AND sequence = l.sequence
                     OFFSET 0) AS e ON true
 ORDER BY l.seq
