select attempt, outcome, worker, session, started_at, ended_at, error, error_kind, output_tail
from punctual.attempt_history
where run_id = $1
order by attempt
