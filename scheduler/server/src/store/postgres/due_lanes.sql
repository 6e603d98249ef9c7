-- The first scheduled run of each lane: one index probe per lane, however long the lane is.
select l.id, l.namespace, l.task_queue, l.kind, first.run_at
from punctual.lane l
cross join lateral (
    select r.run_at
    from punctual.run_live r
    where r.lane = l.id and r.state = 'scheduled' and r.shard = any($1::smallint[])
    order by r.run_at
    limit 1
) first
