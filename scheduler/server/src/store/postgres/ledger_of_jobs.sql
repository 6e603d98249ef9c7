-- An instant of a sharded run is there once for each part.
select distinct job_id, due_at
from punctual.run_ledger
where job_id = any($1::uuid[]) and due_at >= $2 and due_at < $3
order by job_id, due_at
