-- Grants what is queued under exactly this dispatch and due. The lease is held FOR KEY SHARE, which heartbeats do
-- not block and the end of the session does: a session that has ended is granted nothing.
with lease as (
    select session, name from punctual.worker_lease
    where session = $3 and expires_at > coalesce($4::timestamptz, statement_timestamp())
    for key share
), due as (
    select r.id
    from unnest($1::uuid[], $2::integer[]) as a (id, dispatch_seq)
    join punctual.run_live r on r.id = a.id
    where r.state = 'queued' and r.dispatch_seq = a.dispatch_seq and r.run_at <= coalesce($4::timestamptz, statement_timestamp())
      and exists (select from lease)
    order by r.id
    for no key update of r skip locked
), granted as (
    update punctual.run_live r
    set state = 'running', attempt = r.attempt + 1, session = lease.session, worker = lease.name,
        started_at = coalesce($4::timestamptz, statement_timestamp()), node = null, publisher = null,
        reap_at = least(
            coalesce($4::timestamptz, statement_timestamp()) + (r.start_to_close_ms + r.cancel_grace_ms) * interval '1 millisecond' + $5::interval,
            r.close_deadline
        )
    from due, lease
    where r.id = due.id and r.state = 'queued'
    returning r.*
)
-- The definitions that are too much for one answer stay where they are.
select g.id, g.attempt, g.job_id, g.job_version, g.due_at,
       g.start_to_close_ms, g.cancel_grace_ms, g.tries_used,
       l.namespace, l.kind, coalesce(j.name, '') as "job!", s.run_id is not null as "own!",
       case when s.bytes = sum(s.bytes) over handed or sum(s.bytes) over handed <= $6::bigint then s.spec end as "spec?"
from granted g
join punctual.lane l on l.id = g.lane
left join punctual.job j on j.id = g.job_id
left join punctual.run_spec s on s.run_id = g.id and g.origin <> 'schedule'
window handed as (order by g.id rows unbounded preceding)
order by g.id
