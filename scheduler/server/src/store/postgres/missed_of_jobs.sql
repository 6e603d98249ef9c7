select job_id, from_at, to_at, instants, reason
from punctual.missed_range
where job_id = any($1::uuid[]) and from_at < $3 and to_at >= $2
order by job_id, from_at, id
