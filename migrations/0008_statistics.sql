-- What happened in each hour and in each day (UTC), counted. Follows the ledger. A day is counted by itself: a device that
-- was used in two hours of it was used in one day.
CREATE TABLE statistics (
    span                     text COLLATE "C" NOT NULL CHECK (span IN ('hour', 'day')),
    since                    timestamptz NOT NULL,
    sign_ins                 bigint NOT NULL,
    new_accounts             bigint NOT NULL,
    active_devices           bigint NOT NULL,
    codes_phone              bigint NOT NULL,
    codes_email              bigint NOT NULL,
    refused_code_too_soon    bigint NOT NULL,
    refused_code_quota_spent bigint NOT NULL,
    refused_code_paused      bigint NOT NULL,
    refused_code_locked      bigint NOT NULL,
    refused_wrong_code       bigint NOT NULL,
    refused_expired_code     bigint NOT NULL,
    refused_tries_paused     bigint NOT NULL,
    refused_tries_locked     bigint NOT NULL,
    refused_device_limit     bigint NOT NULL,
    refused_suspended        bigint NOT NULL,
    refused_token_reuse      bigint NOT NULL,
    refused_second_factor    bigint NOT NULL,
    refused_access_denied    bigint NOT NULL,
    PRIMARY KEY (span, since)
) WITH (fillfactor = 50);

-- The last hour in which each device session was counted, so that it is counted there once.
CREATE TABLE statistics_devices (
    account_id uuid        NOT NULL,
    session_id uuid        NOT NULL,
    hour       timestamptz NOT NULL,
    PRIMARY KEY (account_id, session_id)
) WITH (fillfactor = 70);
INSERT INTO followers VALUES ('statistics', 0);

-- What became of messages, by the hour in which that was known. Not of the log, which does not have it: counted from the
-- outbox, where they stay for a while.
CREATE TABLE message_outcomes (
    hour     timestamptz PRIMARY KEY,
    sent     bigint NOT NULL,
    failed   bigint NOT NULL,
    expired  bigint NOT NULL,
    replaced bigint NOT NULL
);
CREATE INDEX outbox_by_settlement ON outbox (settled_at) WHERE settled_at IS NOT NULL;
