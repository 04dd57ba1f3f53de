-- $1 alarm, $2 now, $3 by whom, $4 sealed reason
UPDATE alarms SET acknowledged_at = $2, acknowledged_by = $3, note = $4 WHERE id = $1 AND acknowledged_at IS NULL
