-- Who of a job's blocked runs can go: in the order of its line, each that with the unfinished ones and those before it is
-- within its limit, up to the first that is not or waits for something else. In line with them are those that are due
-- and not judged yet. They are judged again; one that is not free to go keeps its place. A row in other hands is left to
-- the sweep: whoever ends a run waits for nobody.
with line as (
    select j.job_id, l.id, l.state, l.block_reason, l.max_running, u.unfinished,
           row_number() over (partition by j.job_id order by l.due_at, l.run_at, l.id) as position
    from (select distinct job_id from unnest($1::uuid[]) as a (job_id)) j
    cross join lateral (
        select count(*) as unfinished from punctual.run_live u where u.job_id = j.job_id and u.dispatch_seq > 0
    ) u
    cross join lateral (
        select r.id, r.state, r.block_reason, r.max_running, r.due_at, r.run_at
        from punctual.run_live r
        where r.job_id = j.job_id and r.dispatch_seq = 0 and r.overlap <> 'allow'
          -- Nobody is to be queued before he is due; it bounds what is read.
          and r.due_at <= coalesce($2::timestamptz, statement_timestamp())
          and (r.state = 'blocked' or (r.state = 'scheduled' and r.run_at <= coalesce($2::timestamptz, statement_timestamp())))
        order by r.due_at, r.run_at, r.id
        -- No limit is higher.
        limit 1000
    ) l
), judged as (
    select id, state,
           bool_and(state <> 'blocked' or (block_reason = 'overlap' and unfinished + position <= max_running))
               over (partition by job_id order by position) as in_turn
    from line
), free as (
    select r.id
    from punctual.run_live r
    where r.id in (select id from judged where state = 'blocked' and in_turn) and r.state = 'blocked'
    order by r.id
    for no key update skip locked
)
update punctual.run_live r
set state = 'scheduled', block_reason = ''
from free
where r.id = free.id and r.state = 'blocked'
