-- Jobs whose pause ends by itself, under their cursors' locks.
select c.job_id
from punctual.job_cursor c
join punctual.job j on j.id = c.job_id
where j.paused_until <= coalesce($1::timestamptz, statement_timestamp()) and j.state = 'paused'
order by c.job_id
limit $2
for no key update of c skip locked
