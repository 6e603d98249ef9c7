-- For instants that the ledger has forgotten: among what ended from shortly before the instant on (a run can be cancelled
-- when it was only planned) to days after it.
select id
from punctual.run_history
where job_id = $1 and due_at = $2 and origin = 'schedule'
  and ended_at >= $2::timestamptz - interval '1 minute' and ended_at < $2::timestamptz + interval '8 days'
order by id
