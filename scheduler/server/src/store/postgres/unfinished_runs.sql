-- Whether a run of the job's schedule is not final, planned ahead or under way.
select exists (select from punctual.run_live where job_id = $1 and origin = 'schedule') as "exists!"
