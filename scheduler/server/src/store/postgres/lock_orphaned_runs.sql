-- Running, but under a session that is no more. The few that run are looked through first, on their own index; the
-- condition is repeated under the lock, because a run may have gone to another session meanwhile.
with orphaned as materialized (
    select r.id
    from punctual.run_live r
    where r.state = 'running' and not exists (select from punctual.worker_lease w where w.session = r.session)
    limit $2
)
select r.id, r.state, r.attempt, r.tries_used, r.dispatch_seq, r.job_id, r.job_version, r.session,
       r.worker, r.start_deadline, r.close_deadline, r.start_to_close_ms, r.cancel_grace_ms,
       r.cancel_requested_at, r.cancel_reason, coalesce($1::timestamptz, statement_timestamp()) as "now!"
from punctual.run_live r
where r.id in (select id from orphaned) and r.state = 'running'
  and not exists (select from punctual.worker_lease w where w.session = r.session)
order by r.id
for update skip locked
