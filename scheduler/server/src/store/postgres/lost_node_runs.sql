select id, node as "node!"
from punctual.run_live
where state = 'queued'
  and (node in (select id from punctual.queue_node where lost_at is not null)
       or (node = any($2::integer[]) and shard = any($3::smallint[])))
limit $1
