-- Scheduling in full: every way to say when, what becomes of it when reality diverges, and SQL as an interface.
--
-- One migration for one release: a scheduler of the release before works on with it, and refuses a schema that is more
-- than one migration ahead of its own.

-- When ==============================================================================================================

-- Saying when in full: pauses that end by themselves, fixed delays, calendars, and history kept by class.
--
-- The release before this one works on with it: what is new is empty or has a default.

alter table punctual.job
    add column paused_at timestamptz,
    add column paused_by text not null default '',
    add column paused_until timestamptz,
    -- Its next instant follows the end of its last run.
    add column follows_end boolean not null default false,
    -- Retention classes of its runs; null: as its namespace says.
    add column keep_success text constraint job_keep_success check (keep_success in ('short', 'default', 'long')),
    add column keep_failure text constraint job_keep_failure check (keep_failure in ('short', 'default', 'long'));
-- What the planner resumes.
create index job_paused_until on punctual.job (paused_until) where paused_until is not null;

-- Where the end of a run has put the next instant; null while none has.
alter table punctual.job_cursor add column delayed_at timestamptz;

-- Ends of runs that the planner has not taken into account yet. They are written with the end itself, without a lock
-- on the cursor, which comes before runs in the order of locks.
create table punctual.run_end (
    id bigint generated always as identity primary key,
    job_id uuid not null,
    ended_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

alter table punctual.namespace
    add column keep_success text constraint namespace_keep_success check (keep_success in ('short', 'default', 'long')),
    add column keep_failure text constraint namespace_keep_failure check (keep_failure in ('short', 'default', 'long'));

-- Days and hours in which schedules that name them do not run.
create table punctual.calendar (
    namespace text not null references punctual.namespace (name),
    name text not null,
    -- Rises with each change, so that schedulers know which ones they have read.
    revision bigint not null,
    spec jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint calendar_key primary key (namespace, name)
);
create sequence punctual.calendar_revision;

-- Which job names which calendar: none goes while a job needs it.
create table punctual.calendar_use (
    job_id uuid not null references punctual.job (id),
    namespace text not null,
    calendar text not null,
    constraint calendar_use_key primary key (job_id, calendar),
    constraint calendar_use_calendar foreign key (namespace, calendar) references punctual.calendar (namespace, name)
);
create index calendar_use_by_calendar on punctual.calendar_use (namespace, calendar);

-- What runs are judged by ===========================================================================================

-- All overlap policies, concurrency keys, priorities, and task queues that can be paused: what a due run is judged by
-- stands in its row, and what it waits for too. The binary of before goes on working: to it there is nothing but new
-- columns with defaults.

-- A kind of work in a task queue has a lane for each priority that it is given.
alter table punctual.lane add column priority smallint not null default 5
    constraint lane_priority check (priority between 0 and 9);
alter table punctual.lane drop constraint lane_key;
alter table punctual.lane add constraint lane_key unique (namespace, task_queue, kind, priority);

alter table punctual.run_live drop constraint run_live_overlap;
alter table punctual.run_live add constraint run_live_overlap
    check (overlap in ('allow', 'skip', 'queue_one', 'queue_all', 'cancel_running', 'kill_running'));
alter table punctual.run_live
    add column max_running integer not null default 1 constraint run_live_max_running check (max_running >= 1),
    -- What it waits for while it is blocked.
    add column block_reason text not null default '',
    -- Its concurrency key with its namespace before it, `default/customer-7`, and how many places that has.
    add column key_path text,
    add column key_limit integer,
    add constraint run_live_block_reason check (
        block_reason in ('', 'overlap', 'concurrency_key', 'task_queue_paused') and (state = 'blocked') = (block_reason <> '')
    ),
    add constraint run_live_key check ((key_path is null) = (key_limit is null) and key_limit >= 1);

-- What an admission judges of a job, whose cursor it holds. Of a table that was empty when the planner last looked, it would
-- else read all that is due of the lane for each job.
create index run_live_due_job on punctual.run_live (job_id, due_at)
    where job_id is not null and state = 'scheduled' and overlap <> 'allow';
-- What an end may let go: the blocked runs of a job, of a key, of a task queue, each in the order in which they go on.
create index run_live_blocked_job on punctual.run_live (job_id, due_at, run_at, id)
    where state = 'blocked' and dispatch_seq = 0 and job_id is not null and overlap <> 'allow';
create index run_live_blocked_key on punctual.run_live (key_path, due_at, run_at, id)
    where state = 'blocked' and block_reason = 'concurrency_key';
create index run_live_paused on punctual.run_live (lane, due_at, id)
    where state = 'blocked' and block_reason = 'task_queue_paused';
-- Who stands in line for a place: those that were never admitted.
create index run_live_key_line on punctual.run_live (key_path, due_at, run_at, id)
    where key_path is not null and dispatch_seq = 0;

-- A place under a concurrency key goes with the run that has it, whatever ends the run.
create table punctual.concurrency_place (
    key_path text not null,
    place integer not null constraint concurrency_place_number check (place >= 1),
    run_id uuid not null references punctual.run_live (id) on delete cascade,
    constraint concurrency_place_key primary key (key_path, place),
    constraint concurrency_place_run unique (run_id)
);

-- Task queues of which something is known beside their names: so far, that they are paused. A queue without a row is not.
create table punctual.task_queue (
    namespace text not null references punctual.namespace (name),
    name text not null constraint task_queue_name check (name ~ '^[a-z0-9_-]{1,34}$'),
    -- Since when nothing of it is admitted; null while it is.
    paused_at timestamptz,
    pause_reason text not null default '',
    constraint task_queue_key primary key (namespace, name)
);

create view punctual.blocked as
select r.id as run_id,
       l.namespace,
       coalesce(j.name, '') as job,
       r.block_reason as reason,
       coalesce(substr(r.key_path, length(l.namespace) + 2), '') as concurrency_key,
       r.overlap,
       r.due_at,
       l.task_queue,
       l.kind,
       l.priority
from punctual.run_live r
join punctual.lane l on l.id = r.lane
left join punctual.job j on j.id = r.job_id
where r.state = 'blocked';

comment on view punctual.blocked is 'The runs that fell due and wait for something to end.';
comment on column punctual.blocked.run_id is 'The run.';
comment on column punctual.blocked.namespace is 'Namespace of the job or of the one-off run.';
comment on column punctual.blocked.job is 'Name of the job; empty for a one-off run.';
comment on column punctual.blocked.reason is 'What it waits for: overlap (an earlier run of the job), concurrency_key (a place) or task_queue_paused.';
comment on column punctual.blocked.concurrency_key is 'Its concurrency key; empty when it has none.';
comment on column punctual.blocked.overlap is 'Its overlap policy.';
comment on column punctual.blocked.due_at is 'When it fell due. Those that wait for the same go on in this order.';
comment on column punctual.blocked.task_queue is 'Task queue it will wait in.';
comment on column punctual.blocked.kind is 'Kind of handler it needs; exec for programs.';
comment on column punctual.blocked.priority is '0 to 9; the higher goes first.';

alter table punctual.run_history
    add column priority smallint not null default 5,
    add column concurrency_key text not null default '';

-- Runs on top of schedules ==========================================================================================

-- Runs that people ask for on top of what schedules give: a range of instants run again (a backfill), a final run run
-- again, and the list of runs that failed, from which they are. Only new tables and columns: a scheduler of the release
-- before goes on without them.

-- The instants of a job's schedule in [from_at, until_at), run again. Planned a chunk at a time by whichever scheduler
-- locks the row; the cursor moves in the transaction that writes the runs.
create table punctual.backfill (
    id uuid primary key,
    namespace text not null references punctual.namespace (name),
    job_id uuid not null references punctual.job (id),
    job_version integer not null,
    from_at timestamptz not null,
    until_at timestamptz not null,
    overlap text not null,
    -- Whether runs are still to be written down; that all of them are final is seen from backfill_run.
    state text not null constraint backfill_state check (state in ('planning', 'running', 'cancelled', 'errored')),
    state_reason text not null default '',
    -- The first instant without a run; null when there is none.
    next_due_at timestamptz,
    -- How many instants the range has.
    instants bigint not null,
    author text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint backfill_range check (from_at < until_at),
    constraint backfill_cursor check ((state = 'planning') = (next_due_at is not null))
) with (fillfactor = 70);
create index backfill_planning on punctual.backfill (updated_at) where state = 'planning';
create index backfill_job on punctual.backfill (job_id, id);
create index backfill_namespace on punctual.backfill (namespace, id);

-- What makes an instant of a backfill one run, and how that run ended.
create table punctual.backfill_run (
    backfill uuid not null references punctual.backfill (id),
    due_at timestamptz not null,
    shard_index integer not null default 0,
    run_id uuid not null,
    -- Null while the run is live.
    state text,
    constraint backfill_run_key primary key (backfill, due_at, shard_index)
) with (fillfactor = 80);

-- Not validated: what was allowed before still is.
alter table punctual.run_live drop constraint run_live_origin;
alter table punctual.run_live add constraint run_live_origin
    check (origin in ('schedule', 'trigger', 'one_off', 'backfill', 'after', 'rerun')) not valid;

-- Where a run comes from, when it is not its job's schedule alone.
alter table punctual.run_live
    add column backfill uuid,
    add column retry_of uuid;
alter table punctual.run_history
    add column backfill uuid,
    add column retry_of uuid;
create index run_live_backfill on punctual.run_live (backfill) where backfill is not null;

-- A definition that is a run's own is kept as long as the run's history, since the run can be run again.
alter table punctual.run_spec add column created_at timestamptz not null default statement_timestamp();
create index run_spec_created on punctual.run_spec using brin (created_at);

-- Runs that failed, until somebody redrives or purges them, or their history is dropped. Written by the statement that
-- ends the run.
create table punctual.dead_letter (
    run_id uuid primary key,
    namespace text not null,
    job_id uuid,
    ended_at timestamptz not null,
    error_kind text not null default ''
);
create index dead_letter_namespace on punctual.dead_letter (namespace, run_id);
create index dead_letter_ended on punctual.dead_letter (ended_at);

-- Answers to calls that change many things at once, by request id, for 24 hours.
create table punctual.call_request (
    request_id text primary key,
    method text not null,
    answer jsonb not null,
    created_at timestamptz not null
);
create index call_request_created on punctual.call_request (created_at);

-- Jobs after others =================================================================================================

-- Jobs that run after others. The end of a run starts them in the transaction that writes it: what their runs take is
-- kept here ready-made, so that the statement reads no definition.

create table punctual.job_after (
    job_id uuid not null references punctual.job (id),
    namespace text not null references punctual.namespace (name),
    upstream_name text not null,
    -- The job that has this name now, or had it last.
    upstream_job uuid not null,
    -- Ends that start the job.
    on_states text[] not null,
    -- No ends before the one, none at or after the other.
    starts_at timestamptz,
    ends_at timestamptz,

    job_version integer not null,
    lane integer not null references punctual.lane (id),
    shard smallint not null,
    overlap text not null,
    max_running integer not null,
    key_path text,
    key_limit integer,
    schedule_to_start_ms bigint,
    schedule_to_close_ms bigint,
    start_to_close_ms bigint not null,
    cancel_grace_ms bigint not null
);
create index job_after_upstream on punctual.job_after (upstream_job);
create index job_after_job on punctual.job_after (job_id);
create index job_after_name on punctual.job_after (namespace, upstream_name);

alter table punctual.run_live add column upstream_run uuid;
alter table punctual.run_history add column upstream_run uuid;
-- One run of each job for each end. An end happens once, so this only ever shows a mistake.
create unique index run_live_upstream on punctual.run_live (upstream_run, job_id) where upstream_run is not null;

-- An id as schedulers make them, version 7, for runs that are made within a statement: sorts by the microsecond of its
-- making.
create function punctual.new_run_id() returns uuid
language sql volatile as $$
    select encode(
        overlay(
            uuid_send(gen_random_uuid())
            placing (
                substring(int8send(t.micros / 1000) from 3)
                || substring(int4send((28672 + (t.micros % 1000) * 4096 / 1000)::integer) from 3)
            ) from 1 for 8
        ),
        'hex'
    )::uuid
    from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros) t
$$;

-- Who changed what ==================================================================================================

-- Who changed which job, when, and how. What was in force at any instant is read from these rows and from the versions,
-- so that "why did it not run" has an answer after the pause has long been lifted.

create table punctual.job_event (
    id bigint generated always as identity primary key,
    job_id uuid not null references punctual.job (id),
    at timestamptz not null,
    kind text not null constraint job_event_kind check (
        kind in ('created', 'updated', 'rolled_back', 'paused', 'resumed', 'deleted', 'errored', 'exhausted')
    ),
    -- Who asked for it; `scheduler` for what planning found out.
    actor text not null,
    -- The first instant that it holds for, where that is not after `at`: of a resume that makes up for the pause.
    since timestamptz,
    -- The version in force from then on.
    version integer not null,
    -- The reason of a pause or an error, the version that was gone back to.
    note text not null default ''
);
create index job_event_job on punctual.job_event (job_id, id);

-- Of jobs that are there already: what their rows still tell. Pauses that were lifted before this are not among it.
insert into punctual.job_event (job_id, at, kind, actor, version, note)
select job_id, at, kind, actor, version, note
from (
    select v.job_id, v.created_at as at, case when v.version = 1 then 'created' else 'updated' end as kind,
           v.author as actor, v.version, '' as note, 0 as after
    from punctual.job_version v
    union all
    select j.id, j.updated_at, j.state, '', j.version, j.state_reason, 1
    from punctual.job j
    where j.state <> 'active'
) known
order by at, after, version;

-- SQL as an interface ===============================================================================================

-- SQL as an interface: views on what is, was and will be, and functions by which work is asked for and finished inside
-- the caller's own transaction. Names, columns and parameters that are described here are public.

-- Partitions ----------------------------------------------------------------------------------------------------

-- Makes the partitions of `days` days from `first` on, and answers how many were missing. A table made as a partition
-- would need its parent for itself alone, and wait for everybody who reads history; one that is made first and attached
-- then waits for nobody who reads or writes.
create or replace function punctual.ensure_partitions(first date, days integer) returns integer
language plpgsql as $$
declare
    parent text;
    day date;
    child text;
    made integer := 0;
begin
    perform set_config('lock_timeout', '200ms', true);
    -- Two schedulers that start together must not both make a table; released with the transaction.
    perform pg_advisory_xact_lock(7031, 1);
    for day in select first + i from generate_series(0, days - 1) as i loop
        foreach parent in array array[
            'run_ledger', 'run_history_short', 'run_history_default', 'run_history_long',
            'attempt_history_short', 'attempt_history_default', 'attempt_history_long'
        ] loop
            child := parent || to_char(day, '_YYYYMMDD');
            if to_regclass('punctual.' || child) is null then
                execute format('create table punctual.%I (like punctual.%I including all)', child, parent);
                -- Days are days of UTC, whatever the session's time zone.
                execute format(
                    'alter table punctual.%I attach partition punctual.%I for values from (%L) to (%L)',
                    parent, child, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00'
                );
                made := made + 1;
            end if;
        end loop;
    end loop;
    return made;
end
$$;

-- Drops the partitions whose day lies more than their class's days before `today`, and answers how many. A drop needs
-- the parent for itself for a moment. Where somebody has been reading history for longer than that, what is left is
-- dropped another time: nobody waits for it, while everybody would wait behind it.
create or replace function punctual.drop_partitions(today date, ledger_days integer, short_days integer, default_days integer, long_days integer)
returns integer
language plpgsql as $$
declare
    part record;
    dropped integer := 0;
begin
    perform set_config('lock_timeout', '200ms', true);
    perform pg_advisory_xact_lock(7031, 1);
    for part in
        select old.relname
        from (
            select c.relname,
                   to_date(right(c.relname, 8), 'YYYYMMDD') as day,
                   case when c.relname like 'run\_ledger\_%' then ledger_days
                        when c.relname like '%\_short\_%' then short_days
                        when c.relname like '%\_default\_%' then default_days
                        else long_days end as keep
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'punctual' and c.relkind = 'r' and c.relname ~ '^(run_ledger|(run|attempt)_history_(short|default|long))_\d{8}$'
        ) old
        where old.day < today - old.keep
        order by old.day, old.relname
    loop
        begin
            execute format('drop table punctual.%I', part.relname);
        exception when lock_not_available then
            return dropped;
        end;
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;

-- Views: what was ------------------------------------------------------------------------------------------------

-- Worker and output are looked up only where they are asked for, and after a limit; as a join, a page of history would
-- read the attempts of all of it.
create or replace view punctual.job_history as
select h.id as run_id,
       h.namespace,
       coalesce(j.name, '') as job,
       h.job_version,
       h.origin,
       h.state,
       h.reason,
       h.task_queue,
       h.kind,
       h.due_at,
       h.created_at,
       h.started_at,
       h.ended_at,
       h.started_at - h.due_at as waited,
       h.ended_at - h.started_at as took,
       h.attempts,
       h.tries_used,
       -- The attempt that ended the run ended with it, to the microsecond: this finds its partition without a search.
       coalesce((
           select a.worker from punctual.attempt_history a
           where a.run_id = h.id and a.attempt = h.attempts and a.ended_at = h.ended_at and a.retention = h.retention
       ), '') as worker,
       h.error,
       coalesce((
           select a.output_tail from punctual.attempt_history a
           where a.run_id = h.id and a.attempt = h.attempts and a.ended_at = h.ended_at and a.retention = h.retention
       ), '') as output_tail,
       h.result,
       h.job_id,
       h.shard_index
from punctual.run_history h
left join punctual.job j on j.id = h.job_id;

comment on column punctual.job_history.job_id is 'The job''s identity, by which its history is found quickest: job_id = punctual.job_id(''name''). Null for a one-off run.';
comment on column punctual.job_history.shard_index is 'Which part of a sharded run this was; 0 for a run that is not sharded.';

create function punctual.job_id(name text, namespace text default 'default') returns uuid
language sql stable strict security definer set search_path = pg_catalog, pg_temp as $$
    select j.id
    from punctual.job j
    where j.namespace = job_id.namespace and j.name = job_id.name
    -- Of those that bore the name, the one that is there; of deleted ones the latest.
    order by j.state <> 'deleted' desc, j.created_at desc
    limit 1
$$;
comment on function punctual.job_id is 'The identity of the job of this name, or of the last that bore it; null when none ever did.';
-- For it, and for everybody who looks for a deleted job.
create index job_any_name on punctual.job (namespace, name);

-- An hour at a time, so that an hour reads its own day's partition and there the part that has it, not all of history.
create view punctual.job_stats as
select s.namespace,
       coalesce(j.name, '') as job,
       s.kind,
       h.hour,
       s.runs,
       s.succeeded,
       s.failures,
       s.cancelled,
       s.skipped,
       s.retries,
       s.wait_p50,
       s.wait_p95,
       s.wait_p99,
       s.duration_p50,
       s.duration_p95,
       s.duration_p99,
       s.job_id
from generate_series(
    date_trunc('hour', statement_timestamp(), 'UTC') - interval '366 days', date_trunc('hour', statement_timestamp(), 'UTC'), interval '1 hour'
) as h (hour)
cross join lateral (
    select r.namespace, r.job_id, r.kind,
           count(*) filter (where r.state <> 'skipped') as runs,
           count(*) filter (where r.state = 'succeeded') as succeeded,
           count(*) filter (where r.state in ('failed', 'expired')) as failures,
           count(*) filter (where r.state = 'cancelled') as cancelled,
           count(*) filter (where r.state = 'skipped') as skipped,
           coalesce(sum(greatest(r.attempts - 1, 0)), 0)::bigint as retries,
           -- Of a run that was tried again, the first start is not known here.
           percentile_cont(0.50) within group (order by r.started_at - r.due_at) filter (where r.attempts = 1) as wait_p50,
           percentile_cont(0.95) within group (order by r.started_at - r.due_at) filter (where r.attempts = 1) as wait_p95,
           percentile_cont(0.99) within group (order by r.started_at - r.due_at) filter (where r.attempts = 1) as wait_p99,
           percentile_cont(0.50) within group (order by r.ended_at - r.started_at) filter (where r.state = 'succeeded') as duration_p50,
           percentile_cont(0.95) within group (order by r.ended_at - r.started_at) filter (where r.state = 'succeeded') as duration_p95,
           percentile_cont(0.99) within group (order by r.ended_at - r.started_at) filter (where r.state = 'succeeded') as duration_p99
    from punctual.run_history r
    where r.ended_at >= h.hour and r.ended_at < h.hour + interval '1 hour'
    group by r.namespace, r.job_id, r.kind
) s
left join punctual.job j on j.id = s.job_id;

comment on view punctual.job_stats is 'How the runs that ended within each hour went, by job. Name the hours you want: each is counted when it is asked for.';
comment on column punctual.job_stats.namespace is 'Namespace of the job or of the one-off runs.';
comment on column punctual.job_stats.job is 'Name of the job; empty for one-off runs, which are counted by their kind.';
comment on column punctual.job_stats.kind is 'Kind of handler; exec for programs.';
comment on column punctual.job_stats.hour is 'Beginning of the hour within which the runs ended; hours of UTC.';
comment on column punctual.job_stats.runs is 'How many ended, without those skipped.';
comment on column punctual.job_stats.succeeded is 'How many of them succeeded.';
comment on column punctual.job_stats.failures is 'How many of them failed or expired.';
comment on column punctual.job_stats.cancelled is 'How many of them were cancelled.';
comment on column punctual.job_stats.skipped is 'How many instants were skipped.';
comment on column punctual.job_stats.retries is 'How many attempts there were beyond the first of each run.';
comment on column punctual.job_stats.wait_p50 is 'From due to started, median of the runs that were started once.';
comment on column punctual.job_stats.wait_p95 is 'The same, 95th percentile.';
comment on column punctual.job_stats.wait_p99 is 'The same, 99th percentile.';
comment on column punctual.job_stats.duration_p50 is 'From the start of the last attempt to the end, median of the runs that succeeded.';
comment on column punctual.job_stats.duration_p95 is 'The same, 95th percentile.';
comment on column punctual.job_stats.duration_p99 is 'The same, 99th percentile.';
comment on column punctual.job_stats.job_id is 'The job''s identity, by which it is found quickest; null for one-off runs.';

create view punctual.missed as
select j.namespace, j.name as job, m.from_at, m.to_at, m.instants, m.reason, m.recorded_at, m.job_id
from punctual.missed_range m
join punctual.job j on j.id = m.job_id;

comment on view punctual.missed is 'Instants that became no run, counted in ranges. Those skipped one by one are runs in job_history with the state skipped.';
comment on column punctual.missed.namespace is 'Namespace of the job.';
comment on column punctual.missed.job is 'Name of the job.';
comment on column punctual.missed.from_at is 'The first instant that was missed.';
comment on column punctual.missed.to_at is 'The last instant that was missed.';
comment on column punctual.missed.instants is 'How many instants from the first to the last were missed.';
comment on column punctual.missed.reason is 'Why: misfire, catchup_window or catchup_limit, when nobody planned them in time; calendar, when one excludes them.';
comment on column punctual.missed.recorded_at is 'When that was found out.';
comment on column punctual.missed.job_id is 'The job''s identity.';

create view punctual.dead_letters as
select h.id as run_id,
       h.namespace,
       coalesce(j.name, '') as job,
       h.task_queue,
       h.kind,
       h.due_at,
       h.ended_at,
       h.attempts,
       h.tries_used,
       h.reason,
       h.error,
       coalesce((
           select a.error_kind from punctual.attempt_history a
           where a.run_id = h.id and a.attempt = h.attempts and a.ended_at = h.ended_at and a.retention = h.retention
       ), '') as error_kind,
       h.job_id
from punctual.run_history h
left join punctual.job j on j.id = h.job_id
where h.state = 'failed';

comment on view punctual.dead_letters is 'The runs that failed for good: no try was left, or the error was not to be retried.';
comment on column punctual.dead_letters.run_id is 'The run. Sorts by creation.';
comment on column punctual.dead_letters.namespace is 'Namespace of the job or of the one-off run.';
comment on column punctual.dead_letters.job is 'Name of the job; empty for a one-off run.';
comment on column punctual.dead_letters.task_queue is 'Task queue it waited in.';
comment on column punctual.dead_letters.kind is 'Kind of handler it needed; exec for programs.';
comment on column punctual.dead_letters.due_at is 'The nominal instant.';
comment on column punctual.dead_letters.ended_at is 'When its last attempt ended.';
comment on column punctual.dead_letters.attempts is 'How many attempts were granted.';
comment on column punctual.dead_letters.tries_used is 'How many of them failed, timed out or were lost.';
comment on column punctual.dead_letters.reason is 'Why there was no further try.';
comment on column punctual.dead_letters.error is 'What went wrong in the last attempt.';
comment on column punctual.dead_letters.error_kind is 'The kind of error that the handler reported; empty when it reported none.';
comment on column punctual.dead_letters.job_id is 'The job''s identity; null for a one-off run.';

create view punctual.job_events as
select e.at, j.namespace, j.name as job, e.kind as event, e.actor, e.version, e.note, e.since, e.job_id, e.id as event_id
from punctual.job_event e
join punctual.job j on j.id = e.job_id;

comment on view punctual.job_events is 'What was done to each job, and by whom. Deleted jobs stay.';
comment on column punctual.job_events.at is 'When it was done, by the database''s clock. Instants up to it were planned as before, unless since says otherwise.';
comment on column punctual.job_events.namespace is 'Namespace of the job.';
comment on column punctual.job_events.job is 'Name of the job.';
comment on column punctual.job_events.event is 'created, updated, rolled_back, paused, resumed, deleted, errored or exhausted.';
comment on column punctual.job_events.actor is 'Who did it, as the caller named itself; scheduler for what planning found out; empty where that was not recorded.';
comment on column punctual.job_events.version is 'Version of the definition in force from then on.';
comment on column punctual.job_events.note is 'The reason of a pause or an error, or the version that was gone back to.';
comment on column punctual.job_events.since is 'From which instant on it holds, where that is not after it was done: of a resume that makes up for the pause.';
comment on column punctual.job_events.job_id is 'The job''s identity: a job made anew under an old name has another.';
comment on column punctual.job_events.event_id is 'Sorts the events in the order in which they were written.';

-- Views: what is -------------------------------------------------------------------------------------------------

create view punctual.live_workers as
select w.session,
       w.name as worker,
       w.namespace,
       w.task_queue,
       w.kinds,
       w.places,
       jsonb_array_length(w.held) as held,
       w.draining,
       w.registered_at,
       w.beat_at,
       w.expires_at
from punctual.worker_lease w
where w.expires_at > statement_timestamp();

comment on view punctual.live_workers is 'The workers whose lease has not run out.';
comment on column punctual.live_workers.session is 'One start of the worker''s process.';
comment on column punctual.live_workers.worker is 'Name it gave itself.';
comment on column punctual.live_workers.namespace is 'Namespace whose runs it takes.';
comment on column punctual.live_workers.task_queue is 'Task queue it takes them from.';
comment on column punctual.live_workers.kinds is 'Kinds it has handlers for; exec for programs.';
comment on column punctual.live_workers.places is 'How many attempts it takes at a time.';
comment on column punctual.live_workers.held is 'How many it held at its last heartbeat.';
comment on column punctual.live_workers.draining is 'Whether it takes no more, because it stops.';
comment on column punctual.live_workers.registered_at is 'When it started.';
comment on column punctual.live_workers.beat_at is 'When its last heartbeat was stored; one comes every 2 s.';
comment on column punctual.live_workers.expires_at is 'When its attempts are taken from it unless it is heard of.';

create view punctual.overdue as
select 'run' as what,
       r.id as run_id,
       l.namespace,
       coalesce(j.name, '') as job,
       l.task_queue,
       l.kind,
       r.state,
       r.due_at,
       r.run_at,
       statement_timestamp() - r.run_at as late,
       case
           when r.state = 'blocked' then r.block_reason
           when r.state = 'scheduled' and not exists (
               select from punctual.scheduler_lease s where s.expires_at > statement_timestamp()
           ) then 'no_scheduler'
           when not exists (
               select from punctual.worker_lease w
               where w.namespace = l.namespace and w.task_queue = l.task_queue and l.kind = any (w.kinds)
                 and not w.draining and w.expires_at > statement_timestamp()
           ) then 'no_worker'
           when r.state = 'queued' then 'not_started'
           else 'not_queued'
       end as reason,
       r.job_id
from punctual.run_live r
join punctual.lane l on l.id = r.lane
left join punctual.job j on j.id = r.job_id
where r.state <> 'running' and r.run_at < statement_timestamp() - interval '1 second'
union all
select 'cursor', null, j.namespace, j.name, v.spec ->> 'task_queue', coalesce(v.spec -> 'task' -> 'handler' ->> 'kind', 'exec'),
       'planned', c.next_due_at, c.next_due_at, statement_timestamp() - c.next_due_at,
       case when exists (select from punctual.scheduler_lease s where s.expires_at > statement_timestamp()) then 'not_planned'
            else 'no_scheduler' end,
       c.job_id
from punctual.job_cursor c
join punctual.job j on j.id = c.job_id
join punctual.job_version v on v.job_id = c.job_id and v.version = c.version
where c.next_due_at < statement_timestamp() - interval '1 second';

comment on view punctual.overdue is 'Everything that should have started or been planned more than a second ago, with the reason. Empty when all is well.';
comment on column punctual.overdue.what is 'run, or cursor for a job whose next instant is past and not planned.';
comment on column punctual.overdue.run_id is 'The run; null for a cursor.';
comment on column punctual.overdue.namespace is 'Namespace of the job or of the one-off run.';
comment on column punctual.overdue.job is 'Name of the job; empty for a one-off run.';
comment on column punctual.overdue.task_queue is 'Task queue it waits in.';
comment on column punctual.overdue.kind is 'Kind of handler it needs; exec for programs.';
comment on column punctual.overdue.state is 'scheduled, blocked or queued; planned for a cursor.';
comment on column punctual.overdue.due_at is 'The nominal instant.';
comment on column punctual.overdue.run_at is 'When it should have been queued: the nominal instant, or the end of a back-off.';
comment on column punctual.overdue.late is 'How long ago that was.';
comment on column punctual.overdue.reason is 'no_scheduler: none is alive; no_worker: no live worker has a handler for the kind in the task queue; overlap: an earlier run of its job must end first; concurrency_key: it waits for a place; task_queue_paused: its task queue is paused; not_started: it is queued and the workers have no place for it yet; not_queued: its task queue holds as many as its workers take, or it is queued any moment; not_planned: planning is behind.';
comment on column punctual.overdue.job_id is 'The job''s identity; null for a one-off run.';

create view punctual.schedule_lag as
select j.namespace, j.name as job, c.next_due_at, greatest(statement_timestamp() - c.next_due_at, interval '0') as lag, c.job_id
from punctual.job_cursor c
join punctual.job j on j.id = c.job_id
where c.next_due_at is not null;

comment on view punctual.schedule_lag is 'How far planning is behind, job by job: 0 for all of them when all is well.';
comment on column punctual.schedule_lag.namespace is 'Namespace of the job.';
comment on column punctual.schedule_lag.job is 'Name of the job.';
comment on column punctual.schedule_lag.next_due_at is 'Its next instant that is not planned.';
comment on column punctual.schedule_lag.lag is 'By how much that is past.';
comment on column punctual.schedule_lag.job_id is 'The job''s identity.';

-- Functions --------------------------------------------------------------------------------------------------------

-- A UUID of version 7, of which those made later sort later: milliseconds, then the fraction of the millisecond.
create or replace function punctual.new_run_id() returns uuid
language sql volatile set search_path = pg_catalog, pg_temp as $$
    select encode(
        substring(int8send(micros / 1000) from 3)
            || int2send((28672 + (micros % 1000) * 4096 / 1000)::smallint)
            || substring(uuid_send(gen_random_uuid()) from 9),
        'hex'
    )::uuid
    from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros) as t
$$;

-- A length of time as definitions keep it.
create function punctual.as_duration(ms bigint) returns jsonb
language sql immutable strict set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object('secs', ms / 1000, 'nanos', (ms % 1000) * 1000000)
$$;

-- What is wrong with a time-out, if anything; null otherwise.
create function punctual.wrong_timeout(field text, given interval, least_ms bigint, most interval) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select format('%s: %s is not between %s ms and %s', field, given, least_ms, most)
    where extract(epoch from given) * 1000 < least_ms or given > most
$$;

create function punctual.enqueue(
    kind text,
    payload jsonb default null,
    task_queue text default 'default',
    namespace text default 'default',
    run_at timestamptz default null,
    idempotency_key text default null,
    max_tries integer default 3,
    schedule_to_start interval default null,
    schedule_to_close interval default null,
    start_to_close interval default '1 hour',
    cancel_grace interval default '10 seconds',
    priority integer default 5,
    concurrency_key text default null,
    concurrency_limit integer default 1,
    wake boolean default false
) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    wrong text[];
    lane_id integer;
    new_id uuid := punctual.new_run_id();
    holder punctual.run_request;
    due timestamptz := coalesce(enqueue.run_at, statement_timestamp());
    to_start bigint := extract(epoch from enqueue.schedule_to_start) * 1000;
    to_close bigint := extract(epoch from enqueue.schedule_to_close) * 1000;
    attempt_ms bigint;
    grace_ms bigint;
    definition jsonb;
begin
    enqueue.task_queue := coalesce(nullif(enqueue.task_queue, ''), 'default');
    enqueue.namespace := coalesce(nullif(enqueue.namespace, ''), 'default');
    enqueue.max_tries := coalesce(enqueue.max_tries, 3);
    enqueue.priority := coalesce(enqueue.priority, 5);
    enqueue.concurrency_limit := coalesce(enqueue.concurrency_limit, 1);
    enqueue.start_to_close := coalesce(enqueue.start_to_close, interval '1 hour');
    enqueue.cancel_grace := coalesce(enqueue.cancel_grace, interval '10 seconds');
    wrong := array_remove(array[
        case when enqueue.kind is null or enqueue.kind !~ '^[a-zA-Z0-9._-]{1,100}$' collate "C"
             then format('kind: %s is not 1 to 100 characters of a-z A-Z 0-9 . _ -', coalesce(quote_literal(enqueue.kind), 'null')) end,
        case when enqueue.kind = 'exec' then 'kind: exec is the runner''s own kind: name one that a worker of yours has a handler for' end,
        case when octet_length(enqueue.payload::text) > 1048576
             then format('payload: %s bytes, the most is 1048576', octet_length(enqueue.payload::text)) end,
        case when enqueue.task_queue !~ '^[a-z0-9_-]{1,34}$' collate "C"
             then format('task_queue: %L is not 1 to 34 characters of a-z 0-9 _ -', enqueue.task_queue) end,
        case when enqueue.namespace !~ '^[a-z0-9-]{1,24}$' collate "C"
             then format('namespace: %L is not 1 to 24 characters of a-z 0-9 -', enqueue.namespace) end,
        case when not isfinite(due) or due < timestamptz '0001-01-01 00:00:00+00' or due >= timestamptz '10000-01-01 00:00:00+00'
             then format('run_at: %s is not an instant of the years 1 to 9999', due) end,
        case when length(enqueue.idempotency_key) not between 1 and 128
             then format('idempotency_key: %s characters, expected 1 to 128', length(enqueue.idempotency_key)) end,
        case when enqueue.max_tries not between 1 and 1000 then format('max_tries: %s is not between 1 and 1000', enqueue.max_tries) end,
        case when enqueue.priority not between 0 and 9 then format('priority: %s is not between 0 and 9', enqueue.priority) end,
        case when octet_length(enqueue.concurrency_key) not between 1 and 500
             then format('concurrency_key: %s bytes, expected 1 to 500', octet_length(enqueue.concurrency_key)) end,
        case when enqueue.concurrency_limit not between 1 and 1000
             then format('concurrency_limit: %s is not between 1 and 1000', enqueue.concurrency_limit) end,
        punctual.wrong_timeout('schedule_to_start', enqueue.schedule_to_start, 1, interval '366 days'),
        punctual.wrong_timeout('schedule_to_close', enqueue.schedule_to_close, 1, interval '366 days'),
        punctual.wrong_timeout('start_to_close', enqueue.start_to_close, 1, interval '366 days'),
        punctual.wrong_timeout('cancel_grace', enqueue.cancel_grace, 0, interval '1 day'),
        case when to_start > to_close then format('schedule_to_start: %s is more than schedule_to_close, %s: it could never pass first',
            enqueue.schedule_to_start, enqueue.schedule_to_close) end
    ], null);
    if cardinality(wrong) > 0 then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'INVALID_FIELDS: ' || array_to_string(wrong, '; '), column = split_part(wrong[1], ':', 1),
            hint = 'No run was made. docs/sql.md lists the parameters of punctual.enqueue and their limits.';
    end if;
    if not exists (select from punctual.namespace n where n.name = enqueue.namespace) then
        raise exception using errcode = 'no_data_found',
            message = format('NAMESPACE_NOT_FOUND: namespace %s does not exist', enqueue.namespace), column = 'namespace',
            hint = 'Check its spelling; leave it out for the namespace default.';
    end if;

    if enqueue.idempotency_key is not null then
        -- Waits for another transaction that has the same key under way.
        insert into punctual.run_request (namespace, request_id, run_id)
        values (enqueue.namespace, enqueue.idempotency_key, new_id)
        on conflict on constraint run_request_key do nothing;
        select * into strict holder from punctual.run_request q
        where q.namespace = enqueue.namespace and q.request_id = enqueue.idempotency_key;
        if holder.run_id <> new_id and holder.job_id is null then
            return holder.run_id;
        elsif holder.run_id <> new_id then
            raise exception using errcode = 'unique_violation',
                message = format('REQUEST_ID_REUSED: idempotency key %L made run %s of a job', enqueue.idempotency_key, holder.run_id),
                hint = 'A key belongs to one run: give another.';
        end if;
    end if;

    select l.id into lane_id from punctual.lane l
    where l.namespace = enqueue.namespace and l.task_queue = enqueue.task_queue and l.kind = enqueue.kind
      and l.priority = enqueue.priority;
    if lane_id is null then
        insert into punctual.lane (namespace, task_queue, kind, priority)
        values (enqueue.namespace, enqueue.task_queue, enqueue.kind, enqueue.priority)
        on conflict on constraint lane_key do nothing;
        select l.id into strict lane_id from punctual.lane l
        where l.namespace = enqueue.namespace and l.task_queue = enqueue.task_queue and l.kind = enqueue.kind
          and l.priority = enqueue.priority;
    end if;

    attempt_ms := extract(epoch from enqueue.start_to_close) * 1000;
    grace_ms := extract(epoch from enqueue.cancel_grace) * 1000;
    definition := jsonb_build_object(
        'task', jsonb_build_object('handler', jsonb_build_object('kind', enqueue.kind, 'payload', coalesce(enqueue.payload::text, ''))),
        'retry', jsonb_build_object(
            'max_tries', enqueue.max_tries, 'jitter', true, 'non_retryable', jsonb_build_array(),
            'backoff', jsonb_build_object('exponential', jsonb_build_object(
                'initial', punctual.as_duration(1000), 'factor', 2.0, 'cap', punctual.as_duration(300000)
            ))
        ),
        'timeouts', jsonb_build_object(
            'schedule_to_start', punctual.as_duration(to_start), 'schedule_to_close', punctual.as_duration(to_close),
            'start_to_close', punctual.as_duration(attempt_ms), 'cancel_grace', punctual.as_duration(grace_ms)
        )
    );
    insert into punctual.run_spec (run_id, spec, bytes) values (new_id, definition, octet_length(definition::text));
    insert into punctual.run_live (
        id, state, shard, lane, origin, overlap, due_at, run_at, created_at, start_deadline, close_deadline,
        start_to_close_ms, cancel_grace_ms, reap_at, key_path, key_limit
    )
    values (
        new_id, 'scheduled', get_byte(uuid_send(new_id), 15) % 64, lane_id, 'one_off', 'allow', due, due, statement_timestamp(),
        due + to_start * interval '1 millisecond', due + to_close * interval '1 millisecond', attempt_ms, grace_ms,
        least(due + to_start * interval '1 millisecond', due + to_close * interval '1 millisecond'),
        enqueue.namespace || '/' || enqueue.concurrency_key,
        case when enqueue.concurrency_key is not null then enqueue.concurrency_limit end
    );
    if enqueue.wake then
        perform pg_notify('punctual_enqueued', enqueue.namespace || '.' || enqueue.task_queue);
    end if;
    return new_id;
end
$$;
comment on function punctual.enqueue is 'Makes a one-off run in the caller''s transaction and answers its id: rolled back there is no run, committed it runs. With an idempotency_key that is known, answers the run that it made. wake sends a NOTIFY on punctual_enqueued with the task queue.';

-- The end of runs, word for word as schedulers write it (store/postgres/conclude_runs.sql): a test compares them.
create function punctual.conclude_runs(
    uuid[], text[], integer[], text[], text[], text[], text[], text[], text[], text[], integer[], timestamptz
) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
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
$$;

-- The same of one run that the caller has locked, with how its attempt ended, where one was running.
create function punctual.end_run(run punctual.run_live, to_state text, reason text, outcome text, result text) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
    select punctual.conclude_runs(
        array[(run).id], array[(run).state], array[(run).attempt], array[to_state], array[reason], array[''], array[''],
        array[result], array[''], array[outcome], array[(run).tries_used], null
    )
$$;

create function punctual.cancel(run uuid, reason text default '') returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    live punctual.run_live;
    ended text;
begin
    if length(cancel.reason) > 1000 then
        raise exception using errcode = 'invalid_parameter_value', column = 'reason',
            message = format('INVALID_FIELDS: reason: has %s characters, the most is 1000', length(cancel.reason));
    end if;
    select * into live from punctual.run_live r where r.id = cancel.run for update;
    if not found then
        select h.state into ended from punctual.run_history h where h.id = cancel.run;
        if ended is null then
            raise exception using errcode = 'no_data_found', message = format('RUN_NOT_FOUND: run %s does not exist', cancel.run),
                hint = 'It was never committed, or it ended longer ago than history is kept.';
        end if;
        raise exception using errcode = 'object_not_in_prerequisite_state',
            message = format('RUN_IS_FINAL: run %s is already %s', cancel.run, ended), hint = 'A run that has ended never changes.';
    end if;
    if live.state <> 'running' then
        perform punctual.end_run(live, 'cancelled', coalesce(cancel.reason, ''), null, '');
        return 'cancelled';
    end if;
    update punctual.run_live r
    set cancel_requested_at = coalesce(r.cancel_requested_at, statement_timestamp()),
        cancel_reason = case when r.cancel_requested_at is null then coalesce(cancel.reason, '') else r.cancel_reason end,
        -- What the worker has to stop and to report, beyond its grace.
        reap_at = least(r.reap_at, statement_timestamp() + r.cancel_grace_ms * interval '1 millisecond' + interval '4 seconds')
    where r.id = cancel.run;
    return 'requested';
end
$$;
comment on function punctual.cancel is 'Cancels a run in the caller''s transaction. Answers cancelled for one that has not started; requested for one that runs, whose worker is asked to end it.';

create function punctual.finish(run uuid, attempt integer, result jsonb default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    live punctual.run_live;
    ended text;
begin
    if octet_length(finish.result::text) > 1048576 then
        raise exception using errcode = 'invalid_parameter_value', column = 'result',
            message = format('INVALID_FIELDS: result: %s bytes, the most is 1048576', octet_length(finish.result::text));
    end if;
    select * into live from punctual.run_live r where r.id = finish.run for update;
    if found and live.state = 'running' and live.attempt = finish.attempt then
        -- Who waits for this run's end is let go by the schedulers' sweep: no other row is locked here.
        perform punctual.end_run(live, 'succeeded', '', 'succeeded', coalesce(finish.result::text, ''));
        return;
    end if;
    select h.state into ended from punctual.run_history h where h.id = finish.run;
    if live.id is null and ended is null then
        raise exception using errcode = 'no_data_found', message = format('RUN_NOT_FOUND: run %s does not exist', finish.run),
            hint = 'It was never committed, or it ended longer ago than history is kept.';
    end if;
    -- Also where this very attempt succeeded before: its effects are committed, and must not be a second time.
    raise exception using errcode = 'object_not_in_prerequisite_state',
        message = format('STALE_ATTEMPT: attempt %s of run %s is not the current one: the run is %s, attempt %s',
            finish.attempt, finish.run, coalesce(live.state, ended),
            coalesce(live.attempt, (select h.attempts from punctual.run_history h where h.id = finish.run))),
        hint = 'Roll back, stop, and report nothing: another attempt has the run, or this one was finished before.';
end
$$;
comment on function punctual.finish is 'Ends a run as succeeded in the caller''s transaction, so that its effects and its end are one. The attempt must be the current one, else STALE_ATTEMPT, and the transaction is to be rolled back.';

revoke all on function punctual.job_id, punctual.enqueue, punctual.cancel, punctual.finish, punctual.new_run_id,
    punctual.as_duration, punctual.wrong_timeout, punctual.conclude_runs, punctual.end_run, punctual.ensure_partitions, punctual.drop_partitions from public;

-- Who may do what --------------------------------------------------------------------------------------------------

-- Lets `reader` look at the views, and `client` ask for work besides. Done again by every migration that adds some.
create function punctual.grant_access(reader name default 'punctual_reader', client name default 'punctual_client') returns void
language plpgsql as $$
declare
    part text;
begin
    execute format('grant usage on schema punctual to %I, %I', reader, client);
    for part in select c.relname from pg_class c where c.relnamespace = 'punctual'::regnamespace and c.relkind = 'v' loop
        execute format('grant select on punctual.%I to %I, %I', part, reader, client);
    end loop;
    execute format('grant execute on function punctual.job_id to %I, %I', reader, client);
    execute format('grant execute on function punctual.enqueue, punctual.cancel, punctual.finish to %I', client);
end
$$;
comment on function punctual.grant_access is 'Lets one role read the views and another enqueue, cancel and finish runs. For the owner of the schema, where the migration could not make the roles itself, or to name others.';
revoke all on function punctual.grant_access from public;

do $$
declare
    role name;
begin
    foreach role in array array['punctual_reader', 'punctual_client'] loop
        if not exists (select from pg_roles r where r.rolname = role) then
            begin
                -- Roles belong to the whole server: another database's migration may make them at the same time.
                execute format('create role %I nologin', role);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
    end loop;
    perform punctual.grant_access();
exception when insufficient_privilege then
    raise warning 'this user may not create roles, so punctual_reader and punctual_client were not made: see docs/sql.md, "Roles"';
end
$$;
