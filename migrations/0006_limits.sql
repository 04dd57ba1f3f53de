-- What the limits that all nodes share have counted. Lost counts cost a little strictness and no sign-in, so they wait
-- for no flush.

-- A row a counter, named `level/limit/subject`: names in order are narrow limits before wide ones, which is the order
-- in which everybody locks. `until` belongs to limits by rate, the others to limits by window: `counts[1]` is of the
-- slot number `slot`, `counts[2]` of the one before it. Times are microseconds since 1970, of the application's clock.
CREATE TABLE limits (
    key        text COLLATE "C" PRIMARY KEY,
    until      bigint      NOT NULL DEFAULT 0,
    slot       bigint      NOT NULL DEFAULT 0,
    counts     bigint[]    NOT NULL DEFAULT '{}',
    kept_until timestamptz NOT NULL -- in whole hours, so that the index is seldom written
) WITH (fillfactor = 70);
CREATE INDEX limits_by_kept_until ON limits (kept_until);

-- What an operator should hear of.
CREATE TABLE alarms (
    at      timestamptz NOT NULL,
    alarm   text        NOT NULL,
    subject text        NOT NULL
);
CREATE INDEX alarms_by_time ON alarms (at);

-- Counts many requests, one after the other, each against its meters: all of them, or none when one is full.
--
-- `names`, `every` and `slots` are the meters of the batch: distinct, in order of their names. A meter without slots is
-- a rate (GCRA, ITU-T I.371): one is used up every `every` microseconds, and `most` may be ahead of the present. A meter
-- with slots is a window of so many, each `every` long, the present one included, with `most` in all of them.
-- `requests`, `meters`, `most` and `costs` are the entries, those of a request together. What comes back is a row a
-- request: the entry that refused it, with the time to wait; or none, and what the window of its last entry comes to.
-- `totals` and `tightest` are what the entries of each meter come to, and the least `most` of them: where there is room for
-- all, which is nearly always, the order of the requests does not matter, and they are counted at once. `lasts` are the
-- last meters of the requests.
--
-- All its rows are locked first, in order, so that no two nodes wait for each other, and only while this runs. A time
-- before one that was counted already is taken for that: a node whose clock is behind opens no window anew.
CREATE FUNCTION count_limits(
    present bigint,
    names text[], every bigint[], slots integer[],
    requests integer[], meters integer[], most bigint[], costs bigint[],
    totals bigint[], tightest bigint[], lasts integer[]
) RETURNS TABLE (request integer, refused integer, wait bigint, total bigint) LANGUAGE plpgsql AS $$
DECLARE
    written text[];
    rows limits[];
    untils bigint[];
    sums bigint[];
    frees bigint[];
    added bigint[];
    after_untils bigint[];
    after_sums bigint[];
    after_touched boolean[];
    touched boolean[] := array_fill(false, ARRAY[cardinality(names)]);
    fits boolean := false;
    entry integer := 1;
    first integer;
    m integer;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- Makes the rows that are missing, and locks those that are there without writing them. A meter that is only looked
    -- at needs neither.
    written := ARRAY(SELECT DISTINCT names[asked.m] FROM unnest(meters, costs) AS asked (m, cost) WHERE cost <> 0);
    IF (SELECT count(*) FROM limits WHERE key = ANY (written)) = cardinality(written) THEN
        PERFORM FROM limits WHERE key = ANY (written) ORDER BY key FOR UPDATE;
    ELSE
        INSERT INTO limits (key, kept_until)
        SELECT name, to_timestamp((present / 3600000000 + 1) * 3600) FROM unnest(written) AS name ORDER BY name COLLATE "C"
        ON CONFLICT (key) DO UPDATE SET key = excluded.key WHERE false;
    END IF;

    SELECT array_agg(found.row), array_agg(found.until), array_agg(found.sum), array_agg(found.frees), array_agg(0)
      INTO rows, untils, sums, frees, added
      FROM (SELECT stored AS row,
                   coalesce(stored.until, 0) AS until,
                   coalesce(used.sum, 0) AS sum,
                   (coalesce(stored.slot - used.oldest + 1, newest) + meter.slots) * meter.every AS frees
              FROM unnest(names, every, slots) WITH ORDINALITY AS meter (name, every, slots, n)
              LEFT JOIN LATERAL (SELECT * FROM limits WHERE key = meter.name OFFSET 0) AS stored ON true,
                   LATERAL (SELECT greatest(stored.slot, present / meter.every) AS newest) AS now,
                   LATERAL (SELECT sum(count)::bigint AS sum, max(i) FILTER (WHERE count > 0) AS oldest
                              FROM unnest(stored.counts) WITH ORDINALITY AS slot (count, i)
                             WHERE i <= stored.slot + meter.slots - newest) AS used
             ORDER BY n) AS found;

    IF 0 <= ALL (costs) THEN
        SELECT bool_and(CASE WHEN s = 0 THEN greatest(u, present) + (t - l) * e <= present ELSE c + t <= l END),
               array_agg(CASE WHEN s = 0 THEN greatest(u, present) + t * e ELSE u END ORDER BY n),
               array_agg(CASE WHEN s = 0 THEN c ELSE c + t END ORDER BY n),
               array_agg(t <> 0 ORDER BY n)
          INTO fits, after_untils, after_sums, after_touched
          FROM unnest(untils, sums, every, slots, totals, tightest) WITH ORDINALITY AS meter (u, c, e, s, t, l, n);
    END IF;
    IF fits THEN
        untils := after_untils;
        sums := after_sums;
        touched := after_touched;
        added := totals;
        RETURN QUERY SELECT n::integer, NULL::integer, 0::bigint, sums[last]
                       FROM unnest(lasts) WITH ORDINALITY AS of_request (last, n);
        entry := cardinality(requests) + 1;
    END IF;

    WHILE entry <= cardinality(requests) LOOP
        first := entry;
        request := requests[entry];
        refused := NULL;
        wait := 0;
        WHILE requests[entry] = request LOOP
            m := meters[entry];
            IF refused IS NULL THEN
                IF slots[m] = 0 THEN
                    wait := greatest(untils[m], present) + (costs[entry] - most[entry]) * every[m] - present;
                ELSIF sums[m] + costs[entry] > most[entry] THEN
                    wait := frees[m] - present;
                ELSE
                    wait := 0;
                END IF;
                IF wait > 0 THEN
                    refused := entry - first + 1;
                END IF;
            END IF;
            entry := entry + 1;
        END LOOP;

        IF refused IS NULL THEN
            FOR i IN first .. entry - 1 LOOP
                m := meters[i];
                IF slots[m] = 0 THEN
                    untils[m] := greatest(untils[m], present) + costs[i] * every[m];
                ELSE
                    sums[m] := greatest(sums[m] + costs[i], 0);
                    added[m] := added[m] + costs[i];
                END IF;
                touched[m] := touched[m] OR costs[i] <> 0;
            END LOOP;
            total := sums[m];
        END IF;
        RETURN NEXT;
    END LOOP;

    -- What is given back comes out of the newest slot; where nothing is left, out of all of them.
    UPDATE limits AS counted
       SET until = untils[n], slot = newest,
           counts = CASE WHEN meter.slots = 0 OR sums[n] = 0 THEN '{}' ELSE
                        ARRAY[greatest(coalesce(moved.counts[1], 0) + added[n], 0)] || moved.counts[2:] END,
           kept_until = to_timestamp((greatest(untils[n], (newest + meter.slots) * meter.every) / 3600000000 + 1) * 3600)
      FROM unnest(names, every, slots) WITH ORDINALITY AS meter (name, every, slots, n),
           LATERAL (SELECT rows[n] AS row) AS old,
           LATERAL (SELECT greatest((old.row).slot, present / meter.every) AS newest) AS now,
           LATERAL (SELECT least(newest - (old.row).slot, meter.slots)::integer AS shift) AS later,
           LATERAL (SELECT array_fill(0::bigint, ARRAY[shift]) || (old.row).counts[1 : meter.slots - shift] AS counts) AS moved
     WHERE touched[n] AND counted.key = meter.name;
END
$$;
