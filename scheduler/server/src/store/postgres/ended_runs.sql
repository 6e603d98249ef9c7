with found as (
    (
        select r.*
        from punctual.run_history r
        where $3::text is null
          and ($1::uuid is null or r.id = $1)
          and ($2::text is null or r.namespace = $2)
          and (cardinality($4::text[]) = 0 or r.state = any($4))
          and ($5::uuid is null or r.id < $5)
          and ($7::timestamptz is null or r.ended_at >= $7)
        order by r.id desc
        limit $6
    )
    union all
    (
        -- A job at a time, so that its index gives the newest of them at once. All together, those of a job that has few
        -- would be looked for among everybody's.
        select own.*
        from punctual.job j
        cross join lateral (
            select r.*
            from punctual.run_history r
            where r.job_id = j.id
              and ($1::uuid is null or r.id = $1)
              and (cardinality($4::text[]) = 0 or r.state = any($4))
              and ($5::uuid is null or r.id < $5)
              and ($7::timestamptz is null or r.ended_at >= $7)
            order by r.id desc
            limit $6
        ) own
        where j.namespace = $2 and j.name = $3
    )
)
select r.id as "id!", r.namespace as "namespace!", coalesce(j.name, '') as "job!", coalesce(r.job_version, 0) as "job_version!",
       r.origin as "origin!", r.state as "state!", r.reason as "reason!", r.due_at as "due_at!", r.task_queue as "task_queue!",
       r.kind as "kind!", r.priority as "priority!", r.concurrency_key as "concurrency_key!", r.attempts as "attempts!", r.tries_used as "tries_used!", r.created_at as "created_at!", r.started_at,
       r.ended_at as "ended_at!", r.error as "error!", r.result as "result!",
       r.backfill, r.upstream_run, r.retry_of
from found r
left join punctual.job j on j.id = r.job_id
order by r.id desc
limit $6
