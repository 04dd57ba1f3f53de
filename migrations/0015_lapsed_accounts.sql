-- Accounts that were never signed in to are found in the order in which they began, by their ids.
CREATE INDEX ON profiles (account_id) WHERE date_joined IS NULL;

-- Forgets who an account was that never was one: no sign-in happened, and no identifier finds it. Its keys go, and with them
-- what is personal in its events; its state goes, which was sealed by them and is folded from the events where it is needed;
-- its row of `profiles` goes. The events stay. Runs by the rights of the tables' owner, since the server's role deletes no
-- keys; so it looks for itself whether the account is such a one. Whether it was.
CREATE FUNCTION forget_lapsed_account(lapsed uuid) RETURNS boolean
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
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION forget_lapsed_account(uuid) FROM PUBLIC;
