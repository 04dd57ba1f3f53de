INSERT INTO alarms (at, alarm, subject) VALUES ($1, $2, $3);
