select attempt, outcome, worker, session, started_at, ended_at, error, error_kind, output_tail
from punctual.attempt_history
where run_id = $1
  and ended_at >= $2 and ($3::timestamptz is null or ended_at <= $3)
order by attempt
