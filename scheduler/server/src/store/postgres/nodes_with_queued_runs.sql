select id, address, identity
from punctual.queue_node
where lost_at is null and id in (select node from punctual.run_live where state = 'queued')
order by id
