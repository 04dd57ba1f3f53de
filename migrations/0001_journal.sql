-- The journal: events are the only truth, heads are what they come to.

-- The first seven columns and the key are those of postgres-es, which reads streams back.
-- `json`, not `jsonb`: the bytes stay as they were written and hashed. Names compare by their bytes (`COLLATE "C"`): no
-- language orders them, and comparing by one costs several times as much in every index.
CREATE TABLE events (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    event_type     text COLLATE "C" NOT NULL,
    event_version  text COLLATE "C" NOT NULL,
    payload        json   NOT NULL,
    metadata       json   NOT NULL,
    personal       bytea,
    leaf           bytea  NOT NULL,
    transaction_id xid8        NOT NULL DEFAULT pg_current_xact_id(),
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

-- One row an account: compared and swapped by the append, so it is the lock; the folded state, so loading costs one
-- row whatever the history; the last leaf, so it is the tip of the chain. `previous_version` is the version that the
-- last commit built on: an upsert can compare it, where it cannot see how many events there were.
CREATE TABLE heads (
    account_id       uuid    PRIMARY KEY,
    version          bigint  NOT NULL,
    previous_version bigint  NOT NULL,
    state            bytea   NOT NULL,
    state_format     integer NOT NULL,
    leaf             bytea   NOT NULL
) WITH (fillfactor = 70);

-- Who has which identifier: a keyed hash, unique. The one table that is not keyed by the account.
CREATE TABLE identifiers (
    lookup     bytea PRIMARY KEY,
    account_id uuid  NOT NULL,
    channel    text  NOT NULL
);
CREATE INDEX identifiers_by_account ON identifiers (account_id);

-- The keys of an account's personal data, wrapped by a key that is not in the database. Without its row an account's
-- personal data is gone, and its events still verify.
CREATE TABLE account_keys (
    account_id  uuid  NOT NULL,
    scope       text COLLATE "C" NOT NULL,
    wrapping_id text  NOT NULL,
    wrapped     bytea NOT NULL,
    PRIMARY KEY (account_id, scope)
);

-- Messages to send, and what became of them. A row is written by the commit that asks for the message and named by its last
-- event. It holds no code: the content is sealed, and is erased as soon as a gateway has the message or the message is
-- of no more use. `due_at` is when a worker may take the row (again), and is gone once it is settled.
CREATE TABLE outbox (
    account_id uuid        NOT NULL,
    sequence   bigint      NOT NULL,
    number     smallint    NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    channel    text COLLATE "C" NOT NULL,
    language   text        NOT NULL,
    content    bytea,
    expires_at timestamptz NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at     timestamptz,
    attempts   integer     NOT NULL DEFAULT 0,
    state      text COLLATE "C" NOT NULL DEFAULT 'waiting'
               CHECK (state IN ('waiting', 'sent', 'failed', 'expired', 'replaced')),
    gateway    text,
    reference  text,
    reason     text,
    settled_at timestamptz,
    PRIMARY KEY (account_id, sequence, number),
    CHECK ((state = 'waiting') = (due_at IS NOT NULL) AND (state = 'waiting') = (settled_at IS NULL)),
    CHECK (state = 'waiting' OR content IS NULL)
);
CREATE INDEX outbox_by_due_time ON outbox (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_by_expiry ON outbox (expires_at);

-- Which events a snapshot does not know yet: what a rebuild has to catch up with.
CREATE INDEX events_by_transaction ON events (transaction_id);
