select j.id, j.namespace, j.name, j.version, j.revision, j.state, j.state_reason, j.created_at, j.updated_at,
       j.paused_at, j.paused_by, j.paused_until, v.spec, c.next_due_at
from punctual.job j
join punctual.job_version v on v.job_id = j.id and v.version = j.version
join punctual.job_cursor c on c.job_id = j.id
where j.namespace = $1 and j.state <> 'deleted' and ($2::text is null or j.name > $2)
order by j.name
limit $3
