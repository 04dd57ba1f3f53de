REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
REVOKE CREATE ON SCHEMA public FROM {role};
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT ON events, ledger, account_keys TO {role};
GRANT SELECT, INSERT, DELETE ON identifiers TO {role};
GRANT SELECT, INSERT, UPDATE ON heads, message_ledger TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox, profiles, user_logins, revoked_tokens, login_history TO {role};
GRANT SELECT, UPDATE ON sequencer, followers TO {role};
GRANT SELECT ON _sqlx_migrations TO {role};
