insert into punctual.lane (namespace, task_queue, kind, priority) values ($1, $2, $3, $4)
on conflict on constraint lane_key do nothing
