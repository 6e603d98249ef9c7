-- The end of a run: the row leaves run_live for the history in one statement, and the delete is the guard. An
-- outcome is given when an attempt ended with it.
with ending as (
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::integer[]
    ) as e (id, from_state, attempt, to_state, reason, error, error_kind, result, output_tail, outcome, tries_used)
), deleted as (
    delete from punctual.run_live r
    using ending e
    where r.id = e.id and r.state = e.from_state and r.attempt = e.attempt
    returning r.*, e.to_state, e.reason, e.error as last_error, e.error_kind, e.result, e.output_tail, e.outcome,
              e.tries_used as tries
), gone as (
    -- How long it is kept is the job's to say, else its namespace's.
    select d.*, l.namespace, l.task_queue, l.kind, l.priority, j.follows_end,
           case when d.to_state in ('succeeded', 'skipped') then coalesce(j.keep_success, n.keep_success, 'default')
                else coalesce(j.keep_failure, n.keep_failure, 'default') end as retention
    from deleted d
    join punctual.lane l on l.id = d.lane
    join punctual.namespace n on n.name = l.namespace
    left join punctual.job j on j.id = d.job_id
), ends as (
    -- What a fixed delay counts from.
    insert into punctual.run_end (job_id, ended_at)
    select job_id, coalesce($12::timestamptz, statement_timestamp()) from gone where follows_end and origin = 'schedule'
), filled as (
    update punctual.backfill_run b
    set state = g.to_state
    from gone g
    where b.backfill = g.backfill and b.due_at = g.due_at and b.shard_index = g.shard_index
), dead as (
    insert into punctual.dead_letter (run_id, namespace, job_id, ended_at, error_kind)
    select g.id, g.namespace, g.job_id, coalesce($12, statement_timestamp()), g.error_kind
    from gone g
    where g.to_state = 'failed'
), downstream as (
    -- Jobs for which such an end is a start, each once.
    select distinct on (g.id, a.job_id) g.id as upstream_run, a.*
    from gone g
    join punctual.job_after a on a.upstream_job = g.job_id and g.to_state = any(a.on_states)
    where (a.starts_at is null or a.starts_at <= coalesce($12, statement_timestamp()))
      and (a.ends_at is null or a.ends_at > coalesce($12, statement_timestamp()))
), startable as (
    -- As for a trigger: a delete either sees the run, or is seen. It cancels in transactions of its own, so it holds
    -- no run that we wait for.
    select j.id
    from punctual.job j
    where j.id in (select job_id from downstream) and j.state = 'active'
    order by j.id
    for key share
), started as (
    insert into punctual.run_live (
        id, state, shard, lane, job_id, job_version, origin, overlap, due_at, run_at, created_at, start_deadline, close_deadline,
        start_to_close_ms, cancel_grace_ms, reap_at, max_running, key_path, key_limit, upstream_run
    )
    select punctual.new_run_id(), 'scheduled', d.shard, d.lane, d.job_id, d.job_version, 'after', d.overlap, now, now, now,
           start_deadline, close_deadline, d.start_to_close_ms, d.cancel_grace_ms, least(start_deadline, close_deadline),
           d.max_running, d.key_path, d.key_limit, d.upstream_run
    from downstream d
    join startable s on s.id = d.job_id
    cross join lateral (select coalesce($12, statement_timestamp()) as now) t
    cross join lateral (
        select t.now + d.schedule_to_start_ms * interval '1 millisecond' as start_deadline,
               t.now + d.schedule_to_close_ms * interval '1 millisecond' as close_deadline
    ) limits
    order by d.upstream_run, d.job_id
), attempts as (
    insert into punctual.attempt_history (
        run_id, attempt, retention, ended_at, outcome, session, worker, started_at, error, error_kind, output_tail
    )
    select id, attempt, retention, coalesce($12::timestamptz, statement_timestamp()), outcome, session, worker, started_at, last_error, error_kind, output_tail
    from gone
    where outcome is not null
), history as (
    insert into punctual.run_history (
        id, retention, ended_at, namespace, job_id, job_version, origin, state, reason, task_queue, kind, due_at, shard_index,
        created_at, started_at, attempts, tries_used, error, result, priority, concurrency_key, backfill, retry_of, upstream_run
    )
    select g.id, g.retention, coalesce($12, statement_timestamp()), g.namespace, g.job_id, g.job_version, g.origin, g.to_state, g.reason, g.task_queue, g.kind,
           g.due_at, g.shard_index, g.created_at, g.started_at, g.attempt, g.tries,
           -- What last went wrong stays visible, also on a run that succeeded in the end.
           coalesce(nullif(g.last_error, ''), g.error), g.result, g.priority, coalesce(substr(g.key_path, length(g.namespace) + 2), ''),
           g.backfill, g.retry_of, g.upstream_run
    from gone g
)
-- What their ends may let go.
select g.key_path,
       case when g.job_id is not null and exists (
           select from punctual.run_live b where b.job_id = g.job_id and b.state = 'blocked' and b.dispatch_seq = 0 and b.overlap <> 'allow'
       ) then g.job_id end as waited_for
from gone g
