-- Whole hours, so that it can be done twice, or by two nodes. What has been counted is never taken back: the outbox forgets.
INSERT INTO message_outcomes AS o (hour, sent, failed, expired, replaced)
SELECT date_trunc('hour', settled_at, 'UTC'),
       count(*) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state = 'failed'),
       count(*) FILTER (WHERE state = 'expired'), count(*) FILTER (WHERE state = 'replaced')
  FROM outbox
 WHERE settled_at >= coalesce((SELECT max(hour) - interval '1 hour' FROM message_outcomes), '-infinity')
 GROUP BY 1
 ORDER BY 1
    ON CONFLICT (hour) DO UPDATE
   SET sent = greatest(o.sent, excluded.sent), failed = greatest(o.failed, excluded.failed),
       expired = greatest(o.expired, excluded.expired), replaced = greatest(o.replaced, excluded.replaced)
 WHERE (o.sent, o.failed, o.expired, o.replaced)
       IS DISTINCT FROM (excluded.sent, excluded.failed, excluded.expired, excluded.replaced)
