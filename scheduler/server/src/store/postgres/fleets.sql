with live as (
    select namespace, task_queue, places, kinds
    from punctual.worker_lease
    where not draining and expires_at > coalesce($1::timestamptz, statement_timestamp())
), served as (
    select namespace, task_queue, array_agg(distinct kind) as kinds
    from live, unnest(kinds) as kind
    group by namespace, task_queue
)
select live.namespace, live.task_queue, sum(live.places)::bigint as "places!", coalesce(served.kinds, '{}') as "kinds!"
from live
left join served using (namespace, task_queue)
group by live.namespace, live.task_queue, served.kinds
