SELECT at, alarm, subject FROM alarms ORDER BY at DESC LIMIT $1;
