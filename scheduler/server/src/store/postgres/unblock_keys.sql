-- The same for the runs that wait for a place of a key. In line with them are those of its runs that are due and not judged
-- yet, and those that wait for their jobs.
with line as (
    select k.key_path, l.id, l.block_reason, l.key_limit, p.taken,
           row_number() over (partition by k.key_path order by l.due_at, l.run_at, l.id) as position
    from (select distinct key_path from unnest($1::text[]) as a (key_path)) k
    cross join lateral (
        select count(*) as taken from punctual.concurrency_place p where p.key_path = k.key_path
    ) p
    cross join lateral (
        select r.id, r.block_reason, r.key_limit, r.due_at, r.run_at
        from punctual.run_live r
        where r.key_path = k.key_path and r.dispatch_seq = 0
          and r.due_at <= coalesce($2::timestamptz, statement_timestamp())
          and ((r.state = 'scheduled' and r.run_at <= coalesce($2::timestamptz, statement_timestamp()))
               or (r.state = 'blocked' and r.block_reason <> 'task_queue_paused'))
        order by r.due_at, r.run_at, r.id
        -- No key has more places.
        limit 1000
    ) l
), judged as (
    select id, block_reason,
           bool_and(block_reason <> 'concurrency_key' or taken + position <= key_limit)
               over (partition by key_path order by position) as in_turn
    from line
), free as (
    select r.id
    from punctual.run_live r
    where r.id in (select id from judged where block_reason = 'concurrency_key' and in_turn) and r.state = 'blocked'
    order by r.id
    for no key update skip locked
)
update punctual.run_live r
set state = 'scheduled', block_reason = ''
from free
where r.id = free.id and r.state = 'blocked'
