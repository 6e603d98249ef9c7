-- Runs that stand in the way of others of their job, held until these are judged: an end that is being written now either
-- has its row locked already, and then does not answer here, or is written after the judgement and says so. Nobody is
-- waited for.
select job_id as "job_id!"
from punctual.run_live
where job_id = any($1::uuid[]) and dispatch_seq > 0
order by id
for share skip locked
