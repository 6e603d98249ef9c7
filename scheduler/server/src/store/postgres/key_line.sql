-- The oldest of the runs that stand in line for a place of each key, beside those that are judged now. One whose task queue
-- is paused has left the line.
select k.key_path as "key_path!", line.due_at, line.run_at, line.id
from unnest($1::text[], $2::integer[]) as k (key_path, places)
cross join lateral (
    select r.due_at, r.run_at, r.id
    from punctual.run_live r
    where r.key_path = k.key_path and r.dispatch_seq = 0 and r.id <> all($3::uuid[])
      and r.due_at <= coalesce($4::timestamptz, statement_timestamp())
      and ((r.state = 'scheduled' and r.run_at <= coalesce($4::timestamptz, statement_timestamp()))
           or (r.state = 'blocked' and r.block_reason <> 'task_queue_paused'))
    order by r.due_at, r.run_at, r.id
    limit k.places
) line
