-- Why some were not granted, on a later snapshot; and what the session holds already, of whose definitions as many
-- as go into one answer.
select r.id, r.state, r.attempt, r.dispatch_seq, r.session, r.run_at, r.started_at,
       coalesce($2::timestamptz, statement_timestamp()) as "now!",
       r.job_id, r.job_version, r.due_at, r.start_to_close_ms, r.cancel_grace_ms, r.tries_used,
       l.namespace, l.kind, coalesce(j.name, '') as "job!", s.run_id is not null as "own!",
       case when s.bytes = sum(s.bytes) over handed or sum(s.bytes) over handed <= $4::bigint then s.spec end as "spec?"
from punctual.run_live r
join punctual.lane l on l.id = r.lane
left join punctual.job j on j.id = r.job_id
left join punctual.run_spec s on s.run_id = r.id and r.origin <> 'schedule' and r.session = $3
where r.id = any($1::uuid[])
window handed as (order by r.id rows unbounded preceding)
order by r.id
