-- $1 alarm, $2 subject
INSERT INTO alarms (at, alarm, subject)
SELECT clock_timestamp(), $1, $2
 WHERE NOT EXISTS (SELECT FROM alarms
                    WHERE at > clock_timestamp() - interval '1 hour' AND alarm = $1 AND subject = $2)
