select r.id, l.namespace, coalesce(j.name, '') as "job!", coalesce(r.job_version, 0) as "job_version!", r.origin, r.state,
       case when r.state = 'blocked' then r.block_reason else r.cancel_reason end as "reason!", r.due_at, r.run_at, l.task_queue, l.kind, l.priority,
       coalesce(substr(r.key_path, length(l.namespace) + 2), '') as "concurrency_key!", r.attempt, r.tries_used, r.created_at,
       r.started_at, r.error, r.cancel_requested_at,
       coalesce(h.progress, 0) as "progress!", coalesce(h.progress_note, '') as "progress_note!",
       r.session, r.worker, r.backfill, r.upstream_run, r.retry_of
from punctual.run_live r
join punctual.lane l on l.id = r.lane
left join punctual.job j on j.id = r.job_id
left join punctual.worker_lease w on w.session = r.session
left join lateral (
    select x.progress, x.progress_note
    from jsonb_to_recordset(w.held) as x (run_id uuid, attempt integer, progress double precision, progress_note text)
    where x.run_id = r.id and x.attempt = r.attempt
    limit 1
) h on true
where ($1::uuid is null or r.id = $1)
  and ($2::text is null or l.namespace = $2)
  and ($3::text is null or r.job_id in (select id from punctual.job where namespace = $2 and name = $3))
  and (cardinality($4::text[]) = 0 or r.state = any($4))
  and ($5::uuid is null or r.id < $5)
order by r.id desc
limit $6
