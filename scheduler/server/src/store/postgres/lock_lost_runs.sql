-- Queued where nobody will get them: on a node that was lost after they were queued, or, in the caller's own shards,
-- on one that the caller cannot reach.
select r.id, r.state, r.attempt, r.tries_used, r.dispatch_seq, r.job_id, r.job_version, r.session,
       r.worker, r.start_deadline, r.close_deadline, r.start_to_close_ms, r.cancel_grace_ms,
       r.cancel_requested_at, r.cancel_reason, coalesce($1::timestamptz, statement_timestamp()) as "now!"
from punctual.run_live r
join punctual.queue_node n on n.id = r.node
where r.state = 'queued'
  and (r.queued_at <= n.lost_at or (r.node = any($3::integer[]) and r.shard = any($4::smallint[])))
order by r.id
limit $2
for update of r skip locked
