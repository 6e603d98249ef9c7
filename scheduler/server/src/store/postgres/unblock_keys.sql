-- The same for the runs that wait for a place of a key.
with standing as materialized (
    select k.key_path,
           oldest.key_limit
           - (select count(*) from punctual.concurrency_place p where p.key_path = k.key_path)
           - (
               select count(*)
               from punctual.run_live s
               where s.key_path = k.key_path and s.dispatch_seq = 0
                 and ((s.state = 'scheduled' and s.run_at <= coalesce($2::timestamptz, statement_timestamp()))
                      or (s.state = 'blocked' and s.block_reason = 'overlap'))
                 and (s.due_at, s.run_at, s.id) < (oldest.due_at, oldest.run_at, oldest.id)
           ) as room
    from (select distinct key_path from unnest($1::text[]) as a (key_path)) k
    cross join lateral (
        select b.key_limit, b.due_at, b.run_at, b.id
        from punctual.run_live b
        where b.key_path = k.key_path and b.state = 'blocked' and b.block_reason = 'concurrency_key'
        order by b.due_at, b.run_at, b.id
        limit 1
    ) oldest
), found as (
    select line.id
    from standing s
    cross join lateral (
        select b.id
        from punctual.run_live b
        where b.key_path = s.key_path and b.state = 'blocked' and b.block_reason = 'concurrency_key'
        order by b.due_at, b.run_at, b.id
        limit greatest(s.room, 0)
    ) line
), free as (
    select r.id
    from punctual.run_live r
    where r.id in (select id from found) and r.state = 'blocked'
    order by r.id
    for no key update skip locked
)
update punctual.run_live r
set state = 'scheduled', block_reason = ''
from free
where r.id = free.id and r.state = 'blocked'
