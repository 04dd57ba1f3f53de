-- What stopped a code to an identifier within the last day: a shared limit, a block or an access rule. `identifier` is a keyed hash.
-- Written behind the answers, in batches; a row that is lost costs nothing but an explanation.
CREATE TABLE code_stops (
    identifier bytea       NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    until      timestamptz,
    times      bigint      NOT NULL,
    PRIMARY KEY (identifier, kind)
) WITH (fillfactor = 70);
CREATE INDEX code_stops_by_time ON code_stops (last_at);
