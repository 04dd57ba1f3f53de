-- What the events come to. Every row here can be made again from the log.

CREATE TABLE profiles (
    account_id   uuid PRIMARY KEY,
    phone_number text,
    email        text,
    fullname     text,
    is_active    boolean,
    -- Means something while the account is not active; the year 9999 stands for "until it is reinstated".
    suspended_until timestamptz,
    date_joined  timestamptz,
    last_login   timestamptz
) WITH (fillfactor = 80);

CREATE TABLE user_logins (
    account_id   uuid NOT NULL,
    session_id   uuid NOT NULL,
    channel      text,
    device_name  text,
    user_agent   text,
    ip_address   inet,
    generation   bigint,
    signed_in_at timestamptz,
    last_seen_at timestamptz,
    expires_at   timestamptz,
    ends_at      timestamptz,
    ended_at     timestamptz,
    end_reason   text,
    PRIMARY KEY (account_id, session_id)
) WITH (fillfactor = 70);

CREATE TABLE revoked_tokens (
    account_id uuid NOT NULL,
    session_id uuid NOT NULL,
    revoked_at timestamptz,
    expires_at timestamptz,
    -- By which a node finds what is new to it.
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (account_id, session_id)
);
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);
CREATE INDEX revoked_tokens_by_transaction ON revoked_tokens (transaction_id);

-- In which form the rows of each read model are, those that follow the ledger included, and how its last rebuild goes or went.
CREATE TABLE read_models (
    name               text PRIMARY KEY,
    format             integer NOT NULL,
    rebuild_began_at   timestamptz,
    rebuild_progress   float8,
    rebuild_ended_at   timestamptz,
    rebuild_error      text
);
INSERT INTO read_models (name, format)
VALUES ('profiles', 1), ('user_logins', 1), ('revoked_tokens', 1), ('login_history', 1), ('statistics', 1);
