-- $1 aggregate type, $2 after which number, $3 how many (the ledger has no gaps), $4 names of the events that are read,
-- $5 names of those whose personal part is read, $6 whether the id of the request is
SELECT l.seq, l.account_id, l.sequence, e.payload, e.personal, e.request
  FROM (SELECT seq, account_id, sequence, event_type FROM ledger WHERE seq > $2 AND seq <= $2 + $3 OFFSET 0) AS l
  LEFT JOIN LATERAL (SELECT payload::text AS payload, CASE WHEN l.event_type = ANY ($5::text[]) THEN personal END AS personal,
                            CASE WHEN $6 THEN metadata->>'request' END AS request
                       FROM events
                      WHERE aggregate_type = $1 AND aggregate_id = l.account_id::text AND sequence = l.sequence
                        AND l.event_type = ANY ($4::text[])
                     OFFSET 0) AS e ON true
 ORDER BY l.seq
