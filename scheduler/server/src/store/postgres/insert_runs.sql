-- Runs that no schedule made. What is due now is due at the time of this statement, which alone makes a one-off run:
-- no transaction around it is needed.
with jobs as (
    -- Whoever deletes a job holds its row for itself. A trigger that comes first is seen by the delete, which cancels
    -- its run; one that comes later finds no job.
    select j.id
    from punctual.job j
    where j.id = any($2::uuid[]) and j.state <> 'deleted'
    order by j.id
    for key share
), made as (
    select m.*, coalesce($15::timestamptz, statement_timestamp()) as now,
           coalesce(m.run_at, $15::timestamptz, statement_timestamp()) as due_at,
           -- What a paused task queue would not take is blocked when it is looked at.
           m.node is not null and not exists (
               select from punctual.lane l
               join punctual.task_queue q on q.namespace = l.namespace and q.name = l.task_queue
               where l.id = m.lane and q.paused_at is not null
           ) as goes
    from unnest(
        $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::smallint[], $7::integer[], $8::timestamptz[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::integer[], $14::jsonb[], $18::integer[], $19::text[],
        $20::integer[]
    ) as m (id, job_id, job_version, origin, overlap, shard, lane, run_at, schedule_to_start_ms, schedule_to_close_ms,
            start_to_close_ms, cancel_grace_ms, node, spec, max_running, key_path, key_limit)
    where m.job_id is null or m.job_id in (select id from jobs)
), timed as (
    select m.*, due_at + schedule_to_start_ms * interval '1 millisecond' as start_deadline,
           due_at + schedule_to_close_ms * interval '1 millisecond' as close_deadline
    from made m
), specs as (
    insert into punctual.run_spec (run_id, spec, bytes) select id, spec, octet_length(spec::text) from timed where spec is not null
)
insert into punctual.run_live (
    id, state, shard, lane, job_id, job_version, origin, overlap, due_at, run_at, created_at, start_deadline, close_deadline,
    start_to_close_ms, cancel_grace_ms, dispatch_seq, node, publisher, queued_at, reap_at, max_running, key_path,
    key_limit
)
select id, case when goes then 'queued' else 'scheduled' end, shard, lane, job_id, job_version, origin, overlap,
       due_at, due_at, now, start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms,
       case when goes then 1 else 0 end, case when goes then node end, case when goes then $16::uuid end,
       case when goes then now end,
       least(start_deadline, close_deadline, case when goes then now + $17::interval end),
       max_running, key_path, key_limit
from timed
returning id, created_at, state = 'queued' as "queued!"
