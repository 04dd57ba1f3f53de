-- A page is applied to all followers in one transaction, which locks their rows by name; an erasure takes the same order.
CREATE OR REPLACE FUNCTION erase_account(erased uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    head      record;
    destroyed text[];
    deleted   jsonb := '{}';
    name      text;
    number    bigint;
BEGIN
    SELECT version, leaf INTO STRICT head FROM public.heads WHERE account_id = erased FOR UPDATE;
    IF NOT EXISTS (SELECT FROM public.events
                    WHERE aggregate_type = 'UserAccount' AND aggregate_id = erased::text AND sequence = head.version
                      AND event_type = 'AccountErased')
    THEN
        RAISE EXCEPTION 'the last event of account % is no erasure', erased;
    END IF;
    PERFORM FROM public.followers ORDER BY followers.name FOR SHARE;

    FOREACH name IN ARRAY ARRAY['identifiers', 'outbox', 'profiles', 'user_logins', 'stays', 'session_uses', 'login_history']
    LOOP
        EXECUTE format('DELETE FROM public.%I WHERE account_id = $1', name) USING erased;
        GET DIAGNOSTICS number = ROW_COUNT;
        deleted := deleted || jsonb_build_object(name, number);
    END LOOP;
    -- What staff did to the account stays known, but not from where anything came.
    DELETE FROM public.event_subjects WHERE account_id = erased AND actor IS NULL;
    GET DIAGNOSTICS number = ROW_COUNT;
    deleted := deleted || jsonb_build_object('event_subjects', number);
    UPDATE public.event_subjects SET ip_address = NULL, small_network = NULL, large_network = NULL WHERE account_id = erased;

    WITH gone AS (DELETE FROM public.account_keys WHERE account_id = erased RETURNING scope)
    SELECT coalesce(array_agg(scope ORDER BY scope), '{}') INTO destroyed FROM gone;
    UPDATE public.heads SET state = '', state_format = 0 WHERE account_id = erased;
    INSERT INTO public.erasures (account_id, sequence, leaf, erased_at, keys, rows)
    VALUES (erased, head.version, head.leaf, clock_timestamp(), destroyed, deleted);
    PERFORM pg_notify('counterfoil_erased', erased::text);
END
$$;
