-- What was only planned ahead is unplanned: nothing of it was due, so nothing is recorded. A run that was ever
-- queued stays, and so does its key in the ledger.
with gone as (
    delete from punctual.run_live
    where job_id = $1 and origin = 'schedule' and state = 'scheduled' and dispatch_seq = 0 and due_at > $2
    returning job_id, due_at, shard_index
)
delete from punctual.run_ledger l
using gone g
where l.job_id = g.job_id and l.due_at = g.due_at and l.shard_index = g.shard_index
