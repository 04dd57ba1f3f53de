-- $1 how many at most; $2 time and $3 id of the last one before, null for the first page; $4 whether acknowledged, null for all
SELECT id, at, alarm, subject, acknowledged_at, acknowledged_by, note
  FROM alarms
 WHERE ($2::timestamptz IS NULL OR (at, id) < ($2, $3::uuid))
   AND ($4::bool IS NULL OR $4 = (acknowledged_at IS NOT NULL))
 ORDER BY at DESC, id DESC
 LIMIT $1
