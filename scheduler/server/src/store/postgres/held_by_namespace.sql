-- What keeps a namespace from being deleted.
select (select count(*) from punctual.job where namespace = $1 and state <> 'deleted') as "jobs!",
       (select count(*) from punctual.run_live r join punctual.lane l on l.id = r.lane where l.namespace = $1) as "runs!",
       (select count(*) from punctual.calendar where namespace = $1) as "calendars!"
