-- Runs whose task queue is not paused any more, lane by lane.
with found as (
    select line.id
    from punctual.lane l
    cross join lateral (
        select b.id
        from punctual.run_live b
        where b.lane = l.id and b.state = 'blocked' and b.block_reason = 'task_queue_paused'
        order by b.due_at, b.id
        limit $1
    ) line
    where not exists (
        select from punctual.task_queue q where q.namespace = l.namespace and q.name = l.task_queue and q.paused_at is not null
    )
    limit $1
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
