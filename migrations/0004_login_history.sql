-- A person's login history: one row for each event that tells something of signing in. Follows the ledger.
CREATE TABLE login_history (
    account_id  uuid   NOT NULL,
    sequence    bigint NOT NULL,
    at          timestamptz,
    event       text,
    session_id  uuid,
    reason      text,
    device_name text,
    user_agent  text,
    ip_address  inet,
    PRIMARY KEY (account_id, sequence)
);
INSERT INTO followers VALUES ('login_history', 0);
