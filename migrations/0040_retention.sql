-- What retention removes, and how far it has come with that. It goes through all accounts when one of the two times moves on. Rebuilds
-- and checks of read models go by the table too, so that they need no setting and bring nothing back.
CREATE TABLE retention (
    only_one            boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    -- The network data of events before this time: the first day of a quarter (UTC).
    network_data_before timestamptz NOT NULL DEFAULT '-infinity',
    -- Sessions that ended before this time, and lines of the login history: the first day of a month (UTC).
    history_before      timestamptz NOT NULL DEFAULT '-infinity',
    -- The last account that is done; null where all are.
    done_to             uuid
);
INSERT INTO retention DEFAULT VALUES;

-- Forgets from where these accounts were used before a quarter of a year: deletes the keys of the quarters before, and clears what read
-- models show of them. Returns the accounts that had such keys, whose sessions are then to be read again from the events: a column of
-- `user_logins` comes from the last event that told it. Their heads stay locked until the transaction ends.
--
-- The server's role may delete keys of accounts that live only by this, so it looks for itself whether the quarter is over for long, and
-- whether a legal hold keeps the account. What follows the ledger waits meanwhile, as for an erasure.
CREATE FUNCTION forget_network_data(accounts uuid[], before timestamptz) RETURNS uuid[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    first_kept text := 'origin-' || to_char(before, 'YYYY"Q"Q');
    due        uuid[];
BEGIN
    IF before IS DISTINCT FROM date_trunc('quarter', before) OR before > clock_timestamp() - interval '30 days' THEN
        RAISE EXCEPTION '% is not the end of a quarter that was over 30 days ago', before;
    END IF;
    due := ARRAY(SELECT DISTINCT account_id FROM public.account_keys
                  WHERE account_id = ANY (accounts) AND scope >= 'origin-' AND scope < first_kept);
    IF due = '{}' THEN
        RETURN due;
    END IF;
    PERFORM FROM public.heads WHERE account_id = ANY (due) ORDER BY account_id FOR UPDATE;
    due := ARRAY(SELECT unnest(due)
                 EXCEPT
                 SELECT account_id
                   FROM (SELECT DISTINCT ON (aggregate_id) aggregate_id::uuid AS account_id,
                                (payload->'fact'->'LegalHoldPlaced'->>'until')::timestamptz AS held_until
                           FROM public.events
                          WHERE aggregate_type = 'UserAccount' AND aggregate_id = ANY (due::text[])
                            AND event_type IN ('LegalHoldPlaced', 'LegalHoldReleased')
                          ORDER BY aggregate_id, sequence DESC) AS holds
                  WHERE held_until > clock_timestamp());
    PERFORM FROM public.followers ORDER BY followers.name FOR SHARE;

    DELETE FROM public.account_keys WHERE account_id = ANY (due) AND scope >= 'origin-' AND scope < first_kept;
    UPDATE public.user_logins SET device_name = NULL, user_agent = NULL, ip_address = NULL
     WHERE account_id = ANY (due) AND signed_in_at < before;
    UPDATE public.stays SET ip_address = NULL
     WHERE account_id = ANY (due) AND since < before AND ip_address IS NOT NULL;
    UPDATE public.login_history SET device_name = NULL, user_agent = NULL, ip_address = NULL
     WHERE account_id = ANY (due) AND at < before AND ip_address IS NOT NULL;
    DELETE FROM public.event_subjects WHERE account_id = ANY (due) AND at < before AND actor IS NULL;
    UPDATE public.event_subjects SET ip_address = NULL, small_network = NULL, large_network = NULL
     WHERE account_id = ANY (due) AND at < before AND ip_address IS NOT NULL;
    RETURN due;
END
$$;
REVOKE ALL ON FUNCTION forget_network_data(uuid[], timestamptz) FROM PUBLIC;

-- As before, and the login history shows of its client nothing either. What follows the ledger waits meanwhile.
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
    PERFORM FROM public.followers ORDER BY followers.name FOR SHARE;
    UPDATE public.heads SET state = '', state_format = 0 WHERE account_id = lapsed;
    DELETE FROM public.account_keys WHERE account_id = lapsed;
    DELETE FROM public.profiles WHERE account_id = lapsed;
    UPDATE public.login_history SET device_name = NULL, user_agent = NULL, ip_address = NULL
     WHERE account_id = lapsed AND ip_address IS NOT NULL;
    DELETE FROM public.event_subjects WHERE account_id = lapsed AND actor IS NULL;
    UPDATE public.event_subjects SET ip_address = NULL, small_network = NULL, large_network = NULL
     WHERE account_id = lapsed AND ip_address IS NOT NULL;
    RETURN true;
END
$$;
