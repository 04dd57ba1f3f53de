-- $1 aggregate type, $2 after which number, $3 how many: events in the order of the ledger
SELECT l.seq, l.account_id, l.sequence, e.payload, e.personal
  FROM (SELECT seq, account_id, sequence FROM ledger WHERE seq > $2 ORDER BY seq LIMIT $3) AS l,
       LATERAL (SELECT payload::text AS payload, personal
                  FROM events
                 WHERE aggregate_type = $1 AND aggregate_id = l.account_id::text AND sequence = l.sequence
                OFFSET 0) AS e
 ORDER BY l.seq
