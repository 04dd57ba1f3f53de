-- $1 block
SELECT id, kind, sealed, since, until, ended_at, set_by
  FROM blocks
 WHERE id = $1
