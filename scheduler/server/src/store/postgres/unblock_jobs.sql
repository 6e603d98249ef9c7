-- Lets as many of the oldest blocked runs of each job go as the oldest one's limit has room for, beside those that are
-- unfinished and those, older than it, that are due and not judged yet. They are judged again; one that is not free to go
-- keeps its place in the line. A row in other hands is left to the sweeper: whoever ends a run waits for nobody.
with standing as materialized (
    select j.job_id,
           oldest.max_running
           - (select count(*) from punctual.run_live u where u.job_id = j.job_id and u.dispatch_seq > 0)
           - (
               select count(*)
               from punctual.run_live s
               where s.job_id = j.job_id and s.state = 'scheduled' and s.dispatch_seq = 0 and s.overlap <> 'allow'
                 and s.run_at <= coalesce($2::timestamptz, statement_timestamp())
                 and (s.due_at, s.run_at, s.id) < (oldest.due_at, oldest.run_at, oldest.id)
           ) as room
    from (select distinct job_id from unnest($1::uuid[]) as a (job_id)) j
    cross join lateral (
        select b.max_running, b.due_at, b.run_at, b.id
        from punctual.run_live b
        where b.job_id = j.job_id and b.state = 'blocked' and b.overlap <> 'allow'
        order by b.due_at, b.run_at, b.id
        limit 1
    ) oldest
), found as (
    select line.id
    from standing s
    cross join lateral (
        -- Behind one that waits for something else, the others wait for it.
        select b.id, bool_and(b.block_reason = 'overlap') over (order by b.due_at, b.run_at, b.id) as in_turn
        from (
            select b.id, b.block_reason, b.due_at, b.run_at
            from punctual.run_live b
            where b.job_id = s.job_id and b.state = 'blocked' and b.overlap <> 'allow'
            order by b.due_at, b.run_at, b.id
            limit greatest(s.room, 0)
        ) b
    ) line
    where line.in_turn
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
