-- $1 aggregate type, $2 the number that the page comes after, $3 length of the page
-- Each number with the event that it stands for, where that is there, and the span that its time is looked for in.
SELECT l.seq, l.account_id, l.sequence, l.leaf, l.event_type, l.at, e.leaf AS event_leaf, e.event_type AS event_event_type,
       e.at AS event_at, l.at IS NULL OR (s.oldest <= l.at AND l.at <= s.newest) IS TRUE AS in_span
  FROM (SELECT * FROM ledger WHERE seq > $2 ORDER BY seq LIMIT $3) AS l
  LEFT JOIN LATERAL (SELECT leaf, event_type, payload->>'at' AS at
                       FROM events
                      WHERE aggregate_type = $1 AND aggregate_id = l.account_id::text AND sequence = l.sequence
                     OFFSET 0) AS e ON true
  LEFT JOIN LATERAL (SELECT oldest, newest FROM ledger_spans WHERE span = l.seq / 1000 OFFSET 0) AS s ON true
 ORDER BY l.seq
