-- The order of the whole log: a gapless number for every event, written behind the commits by the sequencer. The name of
-- the event is there as well, so that whoever follows can pass over what does not concern him.

CREATE TABLE ledger (
    seq        bigint PRIMARY KEY,
    account_id uuid   NOT NULL,
    sequence   bigint NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    leaf       bytea  NOT NULL,
    UNIQUE (account_id, sequence)
);

-- Who sequences, how far he has come, and which transactions he has seen: a snapshot, since commits become visible in
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
