select n.id, n.address, n.identity
from punctual.queue_node n
where n.lost_at is null and n.seen_at < coalesce($1::timestamptz, statement_timestamp()) - $2::interval
  and exists (select from punctual.run_live r where r.state = 'queued' and r.node = n.id)
order by n.id
