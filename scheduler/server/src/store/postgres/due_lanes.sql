-- The first scheduled run of each lane in these shards. Nearly always it is among the first few of its lane. Where
-- others' runs crowd the front of a long lane (one job's runs are all in one shard), each shard's own first is probed
-- for instead: nobody reads through a backlog that is not his.
select l.id, l.namespace, l.task_queue, l.kind, l.priority, q.paused_at is not null as "paused!", first.run_at as "run_at!"
from punctual.lane l
left join punctual.task_queue q on q.namespace = l.namespace and q.name = l.task_queue
cross join lateral (
    with front as materialized (
        (
            select r.run_at, r.shard, true as allow
            from punctual.run_live r
            where r.lane = l.id and r.state = 'scheduled' and r.overlap = 'allow'
            order by r.run_at
            limit 16
        )
        union all
        (
            select r.run_at, r.shard, false as allow
            from punctual.run_live r
            where r.lane = l.id and r.state = 'scheduled' and r.overlap <> 'allow'
            order by r.run_at
            limit 16
        )
    ), found as materialized (
        select min(run_at) filter (where shard = any($1::smallint[])) as run_at, count(*) = 16 as more
        from front
        group by allow
    )
    select case when exists (select from found f where f.run_at is null and f.more) then (
        select min(own.run_at)
        from unnest($1::smallint[]) as s (shard)
        cross join lateral (
            select r.run_at
            from punctual.run_live r
            where r.lane = l.id and r.state = 'scheduled' and r.shard = s.shard
            order by r.run_at
            limit 1
        ) own
    ) else (
        select min(f.run_at) from found f
    ) end as run_at
    -- Keeps the condition below from computing all this twice.
    offset 0
) first
where first.run_at is not null
