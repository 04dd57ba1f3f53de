-- The last checkpoint, and the last one that each witness has cosigned, with all signatures that they have; the smallest first.
SELECT c.size, c.at, c.note, s.witnesses, s.times, s.signatures
  FROM (SELECT max(size) AS size FROM checkpoints UNION SELECT max(size) FROM cosignatures GROUP BY witness) AS wanted
  JOIN checkpoints AS c USING (size),
       LATERAL (SELECT coalesce(array_agg(witness ORDER BY witness), '{}') AS witnesses,
                       coalesce(array_agg(at ORDER BY witness), '{}') AS times,
                       coalesce(array_agg(signature ORDER BY witness), '{}') AS signatures
                  FROM cosignatures WHERE size = c.size) AS s
 ORDER BY c.size
