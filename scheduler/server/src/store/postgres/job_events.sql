select e.id, e.job_id, e.at, e.since, e.kind, e.actor, e.version, e.note
from punctual.job_event e
where e.job_id in (select j.id from punctual.job j where j.namespace = $1 and j.name = $2)
  and ($3::bigint is null or e.id < $3)
order by e.id desc
limit $4
