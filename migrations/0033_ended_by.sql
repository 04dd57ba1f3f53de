-- The member of staff or the program that ended a session; null where its owner did, or where it ended by itself.
ALTER TABLE user_logins ADD COLUMN ended_by jsonb;

-- Without events there is nothing to rebuild.
UPDATE read_models SET format = 2 WHERE name = 'user_logins' AND NOT EXISTS (SELECT FROM events);
