-- What a delete cancels, when what was only planned ahead has been removed.
select id
from punctual.run_live
where job_id = $1 and state <> 'running'
order by due_at
limit $2
