-- As the ledger has them, and where those wait that are queued.
select l.run_id, n.address as "node?"
from punctual.run_ledger l
left join punctual.run_live r on r.id = l.run_id
left join punctual.queue_node n on n.id = r.node
where l.job_id = $1 and l.due_at = $2
order by l.shard_index
