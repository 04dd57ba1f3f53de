-- At which address each session was, and since when. A stay ends where the next one of its session begins, or with it.
CREATE TABLE stays (
    account_id uuid NOT NULL,
    session_id uuid NOT NULL,
    since      timestamptz NOT NULL,
    ip_address inet,
    PRIMARY KEY (account_id, session_id, since)
);
-- The name is the one that PostgreSQL gives, since a rebuild makes the index anew.
CREATE INDEX ON stays (ip_address, since, session_id);

-- Without events there is nothing to rebuild.
INSERT INTO read_models (name, format)
SELECT 'stays', CASE WHEN EXISTS (SELECT FROM events) THEN 0 ELSE 1 END;
