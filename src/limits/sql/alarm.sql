-- $1 alarm
SELECT id, at, alarm, subject, acknowledged_at, acknowledged_by, note
  FROM alarms
 WHERE id = $1
