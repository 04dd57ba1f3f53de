-- Which events a member of staff or a program brought about, and from which address events came. Refreshes are left out, which
-- are most events: the table `stays` tells from where a session was refreshed. Follows the ledger.
CREATE TABLE event_subjects (
    account_id    uuid   NOT NULL,
    seq           bigint NOT NULL,
    event_type    text COLLATE "C" NOT NULL,
    at            timestamptz,
    actor         text COLLATE "C",
    ip_address    inet,
    -- Of 24 and 16 bits, or of 64 and 32 where the address is of IPv6.
    small_network inet,
    large_network inet,
    PRIMARY KEY (account_id, seq)
);
-- The names are those that PostgreSQL gives, since a rebuild makes the indexes anew. A network is found as the addresses, the
-- small networks or the large ones that it consists of, so that there are never many to look for.
CREATE INDEX ON event_subjects (actor, seq) INCLUDE (event_type, at, ip_address) WHERE actor IS NOT NULL;
CREATE INDEX ON event_subjects (ip_address, seq) INCLUDE (event_type, at);
CREATE INDEX ON event_subjects (small_network, seq) INCLUDE (event_type, at);
CREATE INDEX ON event_subjects (large_network, seq) INCLUDE (event_type, at);

INSERT INTO followers VALUES ('event_subjects', 0);
INSERT INTO read_models (name, format) VALUES ('event_subjects', 1);

-- As before, and from where its events came is forgotten too.
CREATE OR REPLACE FUNCTION forget_lapsed_account(lapsed uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM public.heads WHERE account_id = lapsed FOR UPDATE;
    IF EXISTS (SELECT FROM public.identifiers WHERE account_id = lapsed)
       OR NOT EXISTS (SELECT FROM public.events
                       WHERE aggregate_type = 'UserAccount' AND aggregate_id = lapsed::text
                         AND event_type = 'IdentifierReleased')
       OR EXISTS (SELECT FROM public.events
                   WHERE aggregate_type = 'UserAccount' AND aggregate_id = lapsed::text
                     AND event_type = 'UserRegistered')
    THEN
        RETURN false;
    END IF;
    UPDATE public.heads SET state = '', state_format = 0 WHERE account_id = lapsed;
    DELETE FROM public.account_keys WHERE account_id = lapsed;
    DELETE FROM public.profiles WHERE account_id = lapsed;
    DELETE FROM public.event_subjects WHERE account_id = lapsed AND actor IS NULL;
    UPDATE public.event_subjects SET ip_address = NULL, small_network = NULL, large_network = NULL
     WHERE account_id = lapsed AND ip_address IS NOT NULL;
    RETURN true;
END
$$;
