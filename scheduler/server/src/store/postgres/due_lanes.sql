-- The first scheduled run of each lane in these shards. Nearly always it is among the first few of its lane. Where
-- others' runs crowd the front of a long lane (one job's runs are all in one shard), each shard's own first is probed
-- for instead: nobody reads through a backlog that is not his.
select l.id, l.namespace, l.task_queue, l.kind, first.run_at as "run_at!"
from punctual.lane l
cross join lateral (
    select coalesce(
        (
            select front.run_at
            from (
                select r.run_at, r.shard
                from punctual.run_live r
                where r.lane = l.id and r.state = 'scheduled'
                order by r.run_at
                limit 16
            ) front
            where front.shard = any($1::smallint[])
            limit 1
        ),
        case when exists (
            select from punctual.run_live r
            where r.lane = l.id and r.state = 'scheduled'
            order by r.run_at
            offset 16 limit 1
        ) then (
            select min(own.run_at)
            from unnest($1::smallint[]) as s (shard)
            cross join lateral (
                select r.run_at
                from punctual.run_live r
                where r.lane = l.id and r.state = 'scheduled' and r.shard = s.shard
                order by r.run_at
                limit 1
            ) own
        ) end
    ) as run_at
    -- Keeps the condition below from computing all this twice.
    offset 0
) first
where first.run_at is not null
