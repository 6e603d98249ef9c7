-- Runs that stand in the way of others of their job, or wait there and would give way, held until these are judged: an end
-- that is being written now either has its row locked already, and then does not answer here, or is written after the
-- judgement and finds who waits for it. Nobody is waited for.
select id, state, attempt, tries_used, dispatch_seq, job_id, job_version, session, worker,
       start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms, cancel_requested_at, cancel_reason,
       coalesce($2::timestamptz, statement_timestamp()) as "now!", due_at, run_at
from punctual.run_live
where job_id = any($1::uuid[])
  and (dispatch_seq > 0 or (state = 'blocked' and overlap in ('cancel_running', 'kill_running')))
order by id
for update skip locked
