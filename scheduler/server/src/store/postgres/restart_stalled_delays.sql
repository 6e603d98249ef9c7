-- Fixed delays that wait for an end of which nobody left a row: a scheduler of the release before ended the run.
insert into punctual.run_end (job_id, ended_at)
select j.id, coalesce($1::timestamptz, statement_timestamp())
from punctual.job j
join punctual.job_cursor c on c.job_id = j.id
where j.follows_end and j.state = 'active' and c.next_due_at is null
  and not exists (select from punctual.run_live r where r.job_id = j.id and r.origin = 'schedule')
  and not exists (select from punctual.run_end e where e.job_id = j.id)
