-- All that ever had a lane, and those that were paused before.
select n.name as "name!", q.paused_at as "paused_at?", coalesce(q.pause_reason, '') as "pause_reason!"
from (
    select task_queue as name from punctual.lane where namespace = $1
    union
    select name from punctual.task_queue where namespace = $1
) n
left join punctual.task_queue q on q.namespace = $1 and q.name = n.name
order by n.name
