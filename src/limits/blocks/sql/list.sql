-- $1 how many at most, $2 the last block of the page before, $3 whether they hold (null: all), $4 now
SELECT id, kind, sealed, since, until, ended_at, set_by
  FROM blocks
 WHERE ($2::uuid IS NULL OR id < $2)
   AND ($3::bool IS NULL OR $3 = (ended_at IS NULL AND (until IS NULL OR until > $4)))
 ORDER BY id DESC
 LIMIT $1
