-- What staff have blocked from getting and trying codes. `sealed` is the subject with the reason, under the key that `account_keys`
-- has for all blocks: a subject may be a number, an e-mail address or a network. A block is over when it is lifted (`ended_at`) or at
-- `until`.
CREATE TABLE blocks (
    id       uuid        PRIMARY KEY, -- UUID version 7, so in the order in which they were set
    kind     text COLLATE "C" NOT NULL
             CHECK (kind IN ('prefix', 'phone_number', 'email', 'ip_address', 'mail_domain', 'country')),
    sealed   bytea       NOT NULL,
    since    timestamptz NOT NULL,
    until    timestamptz,
    ended_at timestamptz,
    set_by   text        NOT NULL
);
CREATE INDEX blocks_not_ended ON blocks (id) WHERE ended_at IS NULL;
