-- $8, $9 the first and the last of the networks, small or large or of one address each ({network}), that lie within the addresses:
-- those of them that have events, one after the other along the index; the next events of each, and of these the first.
WITH RECURSIVE networks (network) AS (
    (SELECT {network} FROM event_subjects
      WHERE {network} >= {first} AND {network} <= {last} ORDER BY {network} LIMIT 1)
     UNION ALL
    SELECT (SELECT {network} FROM event_subjects
             WHERE {network} > before.network AND {network} <= {last} ORDER BY {network} LIMIT 1)
      FROM networks AS before
     WHERE before.network IS NOT NULL),
found AS (
    SELECT next.seq
      FROM networks,
           LATERAL (SELECT seq
                      FROM event_subjects
                     WHERE {network} = networks.network AND seq > $2 AND seq <= $3
                       AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
                       AND ($7::text[] IS NULL OR event_type = ANY ($7))
                     ORDER BY seq
                     LIMIT $6) AS next
     ORDER BY next.seq
     LIMIT $6)
