-- $1 levels, $2 tiles, $3 the hashes that follow those which a tile has
INSERT INTO tree_tiles AS t (level, tile, hashes)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
    ON CONFLICT (level, tile) DO UPDATE SET hashes = t.hashes || excluded.hashes
