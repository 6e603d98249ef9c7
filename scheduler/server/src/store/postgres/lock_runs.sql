-- Everything that moves several runs locks them in this order.
select id, state, attempt, tries_used, dispatch_seq, job_id, job_version, session, worker,
       start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms, cancel_requested_at, cancel_reason,
       coalesce($2::timestamptz, statement_timestamp()) as "now!"
from punctual.run_live
where id = any($1::uuid[])
order by id
for update
