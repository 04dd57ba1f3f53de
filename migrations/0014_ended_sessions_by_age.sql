-- Access tokens can name a session for a while after it ended. Those sessions are found by when they ended, page by page.
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (revoked_at, session_id);
DROP INDEX revoked_tokens_by_expiry;
