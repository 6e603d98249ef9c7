select id, attempt, started_at as "started_at!", cancel_requested_at
from punctual.run_live
where session = $1 and state = 'running'
