-- $1 of more events than these, $2 how many
SELECT c.size, c.at, c.note, s.witnesses, s.times, s.signatures
  FROM (SELECT * FROM checkpoints WHERE size > $1 ORDER BY size LIMIT $2) AS c,
       LATERAL (SELECT coalesce(array_agg(witness ORDER BY witness), '{}') AS witnesses,
                       coalesce(array_agg(at ORDER BY witness), '{}') AS times,
                       coalesce(array_agg(signature ORDER BY witness), '{}') AS signatures
                  FROM cosignatures WHERE size = c.size) AS s
 ORDER BY c.size
