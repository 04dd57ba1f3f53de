-- $1 first and $2 last numbers of events: of each pair the leaves in their order
SELECT r.part, l.leaf
  FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS r (first, last, part),
       LATERAL (SELECT seq, leaf FROM ledger WHERE seq BETWEEN r.first AND r.last ORDER BY seq OFFSET 0) AS l
 ORDER BY r.part, l.seq
