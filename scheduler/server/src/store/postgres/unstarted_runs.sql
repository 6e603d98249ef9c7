-- What a delete cancels. Runs only planned ahead are not among them: those leave no trace.
select id
from punctual.run_live
where job_id = $1 and state <> 'running'
  and (origin <> 'schedule' or dispatch_seq > 0 or due_at <= coalesce($2::timestamptz, statement_timestamp()))
order by due_at
limit $3
