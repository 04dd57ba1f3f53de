-- When sessions were last used with an access token, as far as nodes have written that. Not of the log, which does not have
-- it, and so no read model: a rebuild leaves it as it is.
CREATE TABLE session_uses (
    account_id uuid NOT NULL,
    session_id uuid NOT NULL,
    used_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, session_id)
) WITH (fillfactor = 70);
