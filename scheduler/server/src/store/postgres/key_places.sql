-- The places that are taken. One that is being given back at this moment is seen but not held; the others are held until
-- the judgement is written down, so that their ends find who waits for them.
with held as materialized (
    select key_path, place
    from punctual.concurrency_place
    where key_path = any($1::text[])
    for key share skip locked
)
select p.key_path, p.place, p.run_id, held.place is not null as "held!"
from punctual.concurrency_place p
left join held using (key_path, place)
where p.key_path = any($1::text[])
