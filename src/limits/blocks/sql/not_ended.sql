SELECT id, kind, sealed, since, until, ended_at, set_by
  FROM blocks
 WHERE ended_at IS NULL
 ORDER BY id
