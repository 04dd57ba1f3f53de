-- The order of the whole log: a gapless number for every event, written behind the commits by the sequencer. The name of
-- the event is there as well, so that a follower can pass over the events that do not concern it; and its time, to find it
-- by.

CREATE TABLE ledger (
    seq        bigint PRIMARY KEY,
    account_id uuid   NOT NULL,
    sequence   bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    leaf       bytea  NOT NULL,
    at         timestamptz,
    UNIQUE (account_id, sequence)
);
-- By which pages of the log are read: of an account, and of a kind of event. The sum is there so that nothing that asks for
-- it can go along another index.
CREATE INDEX ledger_by_account ON ledger (account_id, seq);
CREATE INDEX ledger_by_type ON ledger (event_type, (seq + 0));

-- Between which times the events of each thousand numbers lie (`seq / 1000`). Times come from many clocks and do not run
-- in the order of the log: by this a span of time is found in it all the same, with the last event of it.
CREATE TABLE ledger_spans (
    span   bigint PRIMARY KEY,
    oldest timestamptz NOT NULL,
    newest timestamptz NOT NULL
);

-- Which node sequences, how far it has come, and which transactions it has seen: a snapshot, since commits become visible in
-- another order than they take numbers. The snapshot means something in the cluster it was taken in only.
CREATE TABLE sequencer (
    only_one    boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    seq         bigint      NOT NULL DEFAULT 0,
    seen        pg_snapshot NOT NULL DEFAULT '1:1:',
    cluster     bigint,
    owner       uuid,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO sequencer DEFAULT VALUES;

-- How far each read model that follows the ledger has come. Moved in the transaction that writes its rows.
CREATE TABLE followers (
    name text   PRIMARY KEY,
    seq  bigint NOT NULL
);
