insert into punctual.lane (namespace, task_queue, kind) values ($1, $2, $3)
on conflict on constraint lane_key do nothing
