-- Running, but under a session that is no more.
select r.id, r.state, r.attempt, r.tries_used, r.dispatch_seq, r.job_id, r.job_version, r.session,
       r.worker, r.start_deadline, r.close_deadline, r.start_to_close_ms, r.cancel_grace_ms,
       r.cancel_requested_at, r.cancel_reason, r.node, coalesce($1::timestamptz, statement_timestamp()) as "now!"
from punctual.run_live r
where r.state = 'running' and not exists (select from punctual.worker_lease w where w.session = r.session)
order by r.id
limit $2
for update skip locked
