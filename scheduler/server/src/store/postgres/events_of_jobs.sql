select job_id, at, since, kind, actor, version, note
from punctual.job_event
where job_id = any($1::uuid[])
order by id
