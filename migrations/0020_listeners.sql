-- How far each event listener of an embedding program has come in the ledger. `seq` is the last number that it is done with, and
-- `stands_at` the event after it that failed. A node works for a listener under a lease that it takes for a moment; the lease is in
-- the condition of every write, so that a node which has lost it cannot move the position.
CREATE TABLE listeners (
    name        text COLLATE "C" PRIMARY KEY,
    seq         bigint      NOT NULL,
    lease       uuid,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    failures    integer     NOT NULL DEFAULT 0,
    stands_at   bigint,
    error       text,
    retry_at    timestamptz,
    parked_at   timestamptz,
    CHECK ((failures > 0) = (stands_at IS NOT NULL) AND (parked_at IS NULL OR failures > 0))
) WITH (fillfactor = 50);

-- Which events were passed over by order of an operator, and why.
CREATE TABLE listener_skips (
    name   text COLLATE "C" NOT NULL,
    seq    bigint      NOT NULL,
    at     timestamptz NOT NULL,
    reason text        NOT NULL,
    PRIMARY KEY (name, seq, at)
);
