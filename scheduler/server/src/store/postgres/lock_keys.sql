-- Whoever judges who gets a place of a key holds the key, until the end of the transaction; the others are judged later.
with wanted as materialized (
    select distinct k.key_path from unnest($1::text[]) as k (key_path)
)
select key_path as "key_path!" from wanted where pg_try_advisory_xact_lock(hashtextextended(key_path, 7031))
