select l.namespace, l.task_queue, count(*) as "queued!"
from punctual.run_live r
join punctual.lane l on l.id = r.lane
where r.state = 'queued' and r.shard = any($1::smallint[])
group by l.namespace, l.task_queue
