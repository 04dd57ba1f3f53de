-- $1 levels, $2 tiles, $3 which hash of the tile is the first, from 0, $4 how many
SELECT r.part, substring(t.hashes FROM r.first * 32 + 1 FOR r.count * 32) AS hashes
  FROM unnest($1::smallint[], $2::bigint[], $3::int[], $4::int[]) WITH ORDINALITY AS r (level, tile, first, count, part)
  JOIN tree_tiles AS t USING (level, tile)
 ORDER BY r.part
