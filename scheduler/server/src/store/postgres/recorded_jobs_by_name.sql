-- All that ever bore the name, the latest first.
select j.id, j.namespace, j.name, j.state, j.created_at, j.updated_at, c.next_due_at
from punctual.job j
join punctual.job_cursor c on c.job_id = j.id
where j.namespace = $1 and j.name = $2
order by j.created_at desc, j.id desc
limit $3
