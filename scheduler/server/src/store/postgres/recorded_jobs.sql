-- Those that there were within the time, page by page.
select j.id, j.namespace, j.name, j.state, j.created_at, j.updated_at, c.next_due_at
from punctual.job j
join punctual.job_cursor c on c.job_id = j.id
where ($1::uuid is null or j.id > $1) and j.created_at < $3 and (j.state <> 'deleted' or j.updated_at > $2)
order by j.id
limit $4
