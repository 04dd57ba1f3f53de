-- The Merkle tree over the ledger (RFC 6962), by the hashes of its complete subtrees: of 256 events at level 1, of 65,536 at level 2 and
-- so on, up to 256 hashes of 32 bytes a row (C2SP tlog-tiles). The leaves, which are level 0, are in the ledger itself.
CREATE TABLE tree_tiles (
    level  smallint NOT NULL CHECK (level > 0),
    tile   bigint   NOT NULL,
    hashes bytea    NOT NULL,
    PRIMARY KEY (level, tile)
);

-- How many events the tree has, the hashes of the complete subtrees that it consists of, and when it was last signed.
CREATE TABLE tree (
    only_one  boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    size      bigint      NOT NULL DEFAULT 0,
    edge      bytea       NOT NULL DEFAULT '',
    signed_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO tree DEFAULT VALUES;

-- What this installation has signed: signed notes (C2SP tlog-checkpoint), without the signatures of witnesses.
CREATE TABLE checkpoints (
    size bigint      PRIMARY KEY,
    at   timestamptz NOT NULL,
    note text        NOT NULL
);

-- The signatures of witnesses under checkpoints, each a line of a note (C2SP tlog-cosignature).
CREATE TABLE cosignatures (
    witness   text        NOT NULL,
    size      bigint      NOT NULL,
    at        timestamptz NOT NULL,
    signature text        NOT NULL,
    PRIMARY KEY (witness, size)
);
CREATE INDEX ON cosignatures (size);

-- What this installation has signed of an erasure; written once.
ALTER TABLE erasures ADD COLUMN certificate text;

-- Keeps the certificate of an erasure, unless there is one, and returns the one that is kept.
CREATE FUNCTION keep_certificate(erased uuid, signed text) RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE public.erasures SET certificate = coalesce(certificate, signed) WHERE account_id = erased RETURNING certificate
$$;
REVOKE ALL ON FUNCTION keep_certificate(uuid, text) FROM PUBLIC;
