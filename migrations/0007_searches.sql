-- What administrators search by. No column here is one that a refresh changes, but the address where it is another one:
-- refreshes are the most frequent update, and one that changes no indexed column needs no new index entries (HOT).
-- The names are those that PostgreSQL gives, since a rebuild makes the indexes anew.
CREATE INDEX ON user_logins (session_id);
CREATE INDEX ON user_logins (signed_in_at, session_id);
CREATE INDEX ON user_logins (ip_address, signed_in_at, session_id);

CREATE INDEX ON profiles (date_joined, account_id) WHERE date_joined IS NOT NULL;
CREATE INDEX ON profiles (date_joined, account_id) WHERE NOT is_active;
