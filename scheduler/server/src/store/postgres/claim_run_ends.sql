-- Takes the ends of runs that put fixed delays, each job's under its cursor's lock. Who else plans a job takes them
-- the next time.
with oldest as (
    select distinct job_id from (select job_id from punctual.run_end order by id limit 1000) e
), locked as (
    select c.job_id
    from punctual.job_cursor c
    where c.job_id in (select job_id from oldest)
    order by c.job_id
    for no key update skip locked
), taken as (
    delete from punctual.run_end e using locked l where e.job_id = l.job_id
    returning e.job_id, e.ended_at
)
select job_id as "job_id!", max(ended_at) as "ended_at!" from taken group by job_id order by job_id
