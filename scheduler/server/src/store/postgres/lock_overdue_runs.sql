select id, state, attempt, tries_used, dispatch_seq, job_id, job_version, session, worker,
       start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms, cancel_requested_at, cancel_reason,
       coalesce($1::timestamptz, statement_timestamp()) as "now!"
from punctual.run_live
where reap_at <= coalesce($1::timestamptz, statement_timestamp())
order by reap_at
limit $2
for update skip locked
