-- What refers to a namespace's jobs, all of which are deleted.
with jobs as (
    select id from punctual.job where namespace = $1
), versions as (
    delete from punctual.job_version where job_id in (select id from jobs)
), events as (
    delete from punctual.job_event where job_id in (select id from jobs)
), cursors as (
    delete from punctual.job_cursor where job_id in (select id from jobs)
), uses as (
    delete from punctual.calendar_use where job_id in (select id from jobs)
), ends as (
    delete from punctual.run_end where job_id in (select id from jobs)
), missed as (
    delete from punctual.missed_range where job_id in (select id from jobs)
)
delete from punctual.run_request where namespace = $1
