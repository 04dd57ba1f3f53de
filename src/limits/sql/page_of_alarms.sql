-- $1 how many at most; $2 time, $3 alarm and $4 subject of the last one before, null for the first page
SELECT at, alarm, subject
  FROM alarms
 WHERE $2::timestamptz IS NULL OR (at, alarm, subject) < ($2, $3::text, $4::text)
 ORDER BY at DESC, alarm DESC, subject DESC
 LIMIT $1
