-- $1 accounts, $2 a session of each, $3 the last hour in which it is counted
INSERT INTO {devices} (account_id, session_id, hour)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
    ON CONFLICT (account_id, session_id) DO UPDATE SET hour = excluded.hour
