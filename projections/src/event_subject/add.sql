-- $1 accounts, $2 sequences, $3 times, $4 actors and $5 addresses of events, which have their numbers
INSERT INTO {table} (account_id, seq, event_type, at, actor, ip_address, small_network, large_network)
SELECT s.account_id, l.seq, l.event_type, s.at, s.actor, s.ip_address,
       network(set_masklen(s.ip_address, CASE family(s.ip_address) WHEN 4 THEN 24 ELSE 64 END)),
       network(set_masklen(s.ip_address, CASE family(s.ip_address) WHEN 4 THEN 16 ELSE 32 END))
  FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::inet[])
           AS s (account_id, sequence, at, actor, ip_address),
       LATERAL (SELECT seq, event_type
                  FROM ledger
                 WHERE account_id = s.account_id AND sequence = s.sequence
                OFFSET 0) AS l
