-- The calendars that a job names, in the place of those it named before.
with gone as (
    delete from punctual.calendar_use where job_id = $1 and calendar <> all ($3::text[])
)
insert into punctual.calendar_use (job_id, namespace, calendar)
select $1, $2, c.name from unnest($3::text[]) as c (name)
on conflict on constraint calendar_use_key do nothing
