select id from punctual.lane where namespace = $1 and task_queue = $2 and kind = $3 and priority = $4
