select r.id, r.namespace, coalesce(j.name, '') as "job!", coalesce(r.job_version, 0) as "job_version!", r.origin, r.state,
       r.reason, r.due_at, r.task_queue, r.kind, r.attempts, r.tries_used, r.created_at, r.started_at, r.ended_at,
       r.error, r.result, r.backfill, r.upstream_run, r.retry_of
from punctual.run_history r
left join punctual.job j on j.id = r.job_id
where ($1::uuid is null or r.id = $1)
  and ($2::text is null or r.namespace = $2)
  and ($3::text is null or r.job_id in (select id from punctual.job where namespace = $2 and name = $3))
  and (cardinality($4::text[]) = 0 or r.state = any($4))
  and ($5::uuid is null or r.id < $5)
  and ($7::timestamptz is null or r.ended_at >= $7)
order by r.id desc
limit $6
