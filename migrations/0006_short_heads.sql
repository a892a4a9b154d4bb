-- Stop all processes of the version before first: they read and write the column that goes.

-- What the caps have counted, short: every spend writes it anew. As text, which Postgres stores as it is; [] is null.
-- w: window, m: member, o: operations, s and e: the window in microseconds since 1970, u: used, f: counts from.
ALTER TABLE account_heads ADD COLUMN counted text COLLATE "C";

UPDATE account_heads h SET counted = (
    SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'w', c -> 'window', 'm', c -> 'member', 'o', c -> 'operations',
        's', (extract(epoch FROM (c ->> 'starts_at')::timestamptz) * 1000000)::bigint,
        'e', (extract(epoch FROM (c ->> 'ends_at')::timestamptz) * 1000000)::bigint,
        'u', c -> 'used',
        'f', (extract(epoch FROM (c ->> 'since')::timestamptz) * 1000000)::bigint)) ORDER BY n)::text
    FROM jsonb_array_elements(h.cap_counters) WITH ORDINALITY AS counters (c, n)
    -- Of a clock that was moved to the end of time: not a year that Postgres reads.
    WHERE NOT c ->> 'ends_at' LIKE '+%')
WHERE cap_counters IS NOT NULL;

ALTER TABLE account_heads DROP COLUMN cap_counters;
