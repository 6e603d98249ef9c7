-- The first schema: jobs, their runs while live, the history they leave, and who is working on them.
--
-- Cold and wide is kept apart from hot and narrow: definitions change rarely and are read through a cache; the
-- cursor, the live runs and the leases change all the time and stay small; history is only ever inserted into.
-- Every key that makes something happen once is here from the start.

create schema if not exists punctual;
comment on schema punctual is
    'Punctual. The views and functions whose columns are documented are a public interface; tables may change with a migration.';

create table punctual.namespace (
    name text primary key constraint namespace_name check (name ~ '^[a-z0-9-]{1,24}$'),
    created_at timestamptz not null default statement_timestamp()
);
insert into punctual.namespace (name) values ('default');

-- Cold: definitions -------------------------------------------------------------------------------------------

create table punctual.job (
    id uuid primary key,
    namespace text not null references punctual.namespace (name),
    name text not null,
    version integer not null,
    -- Counts every change of definition or state; the etag is made from it.
    revision bigint not null default 1,
    state text not null constraint job_state check (state in ('active', 'paused', 'exhausted', 'errored', 'deleted')),
    state_reason text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Deleted, with runs still to be cancelled.
    clearing boolean not null default false
        constraint job_clearing check (state = 'deleted' or not clearing)
);
create index job_clearing on punctual.job (id) where clearing;
-- A deleted job keeps its row for its history's sake, but not its name.
create unique index job_name_key on punctual.job (namespace, name) where state <> 'deleted';

-- Versions are never changed, so schedulers cache them for good.
create table punctual.job_version (
    job_id uuid not null references punctual.job (id),
    version integer not null,
    spec jsonb not null,
    author text not null default '',
    created_at timestamptz not null,
    primary key (job_id, version)
);

-- One row for each kind of work in each task queue. Live runs carry its number instead of three names, and due runs
-- are looked for lane by lane, so that neither a full task queue nor a kind nobody serves hides the runs behind it.
create table punctual.lane (
    id integer generated always as identity primary key,
    namespace text not null references punctual.namespace (name),
    task_queue text not null constraint lane_task_queue check (task_queue ~ '^[a-z0-9_-]{1,34}$'),
    kind text not null,
    constraint lane_key unique (namespace, task_queue, kind)
);

-- Hot: planning -----------------------------------------------------------------------------------------------

-- Where planning has come to. The planner, an update, a pause and a delete of one job exclude each other by locking
-- this row; so does the publisher when it judges overlap.
create table punctual.job_cursor (
    job_id uuid primary key references punctual.job (id),
    version integer not null,
    -- The first instant not yet planned; null while nothing is to be planned.
    next_due_at timestamptz
) with (fillfactor = 70);
create index job_cursor_due on punctual.job_cursor (next_due_at) where next_due_at is not null;

-- What makes an instant one run. Kept 8 days; behind that the cursor alone is the guard.
create table punctual.run_ledger (
    job_id uuid not null,
    due_at timestamptz not null,
    shard_index integer not null default 0,
    run_id uuid not null,
    constraint run_ledger_key primary key (job_id, due_at, shard_index)
) partition by range (due_at);

-- Instants that became no run, counted.
create table punctual.missed_range (
    id bigint generated always as identity primary key,
    job_id uuid not null references punctual.job (id),
    -- Both ends are missed instants.
    from_at timestamptz not null,
    to_at timestamptz not null,
    instants bigint not null constraint missed_range_instants check (instants > 0),
    reason text not null,
    recorded_at timestamptz not null
);
create index missed_range_job on punctual.missed_range (job_id, from_at);

-- Hot: runs that are not final --------------------------------------------------------------------------------

create table punctual.run_live (
    id uuid primary key,
    state text not null constraint run_live_state check (state in ('scheduled', 'blocked', 'queued', 'running')),
    shard smallint not null constraint run_live_shard check (shard between 0 and 63),
    lane integer not null references punctual.lane (id),
    -- Null for a one-off run, whose definition is in run_spec.
    job_id uuid,
    job_version integer,
    origin text not null constraint run_live_origin check (origin in ('schedule', 'trigger', 'one_off')),
    overlap text not null constraint run_live_overlap check (overlap in ('allow', 'skip')),
    due_at timestamptz not null,
    shard_index integer not null default 0,
    run_at timestamptz not null,
    created_at timestamptz not null,
    start_deadline timestamptz,
    close_deadline timestamptz,
    start_to_close_ms bigint not null,
    cancel_grace_ms bigint not null,

    attempt integer not null default 0,
    tries_used integer not null default 0,
    dispatch_seq integer not null default 0,
    -- How often in a row it was queued, published, and not started in time: what its next wait is measured by.
    redeliveries integer not null default 0,
    -- While queued: where it was sent, and by which scheduler.
    node integer,
    publisher uuid,
    queued_at timestamptz,
    -- While running: who holds the attempt.
    session uuid,
    worker text not null default '',
    started_at timestamptz,
    cancel_requested_at timestamptz,
    cancel_reason text not null default '',
    error text not null default '',
    -- The next instant at which the reaper must look at this row: the first of the deadlines that its state has.
    reap_at timestamptz,
    constraint run_live_session check ((state = 'running') = (session is not null)),
    constraint run_live_node check ((state = 'queued') = (node is not null))
) with (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000
);
-- What is due is looked for in the first two, whose overlap is to be judged apart from the others, however many of
-- those wait; whose a run is, is read from the index. The third finds a shard's runs behind any number of others'.
create index run_live_due_allow on punctual.run_live (lane, run_at, id) include (shard) where state = 'scheduled' and overlap = 'allow';
create index run_live_due_overlap on punctual.run_live (lane, run_at) include (shard) where state = 'scheduled' and overlap <> 'allow';
create index run_live_due_shard on punctual.run_live (lane, shard, run_at, id) where state = 'scheduled';
-- What an overlap is judged by: the admitted, unfinished runs of a job, at most a few.
create index run_live_unfinished on punctual.run_live (job_id)
    where job_id is not null and dispatch_seq > 0;
create index run_live_queued on punctual.run_live (lane, shard) where state = 'queued';
create index run_live_running on punctual.run_live (session) where state = 'running';
create index run_live_reap on punctual.run_live (reap_at) where reap_at is not null;
create index run_live_job on punctual.run_live (job_id, due_at) where job_id is not null;

-- The definition of a run that is not its job's: of a one-off run, or of a trigger with its own payload.
create table punctual.run_spec (
    run_id uuid primary key,
    spec jsonb not null,
    -- Its length as text, so that what is handed out together can be limited without reading it.
    bytes integer not null
);

-- Idempotency keys of runs, for as long as the run is known.
create table punctual.run_request (
    namespace text not null,
    request_id text not null,
    run_id uuid not null,
    -- Of which job it is; null for a one-off run. A key belongs to one of them.
    job_id uuid,
    created_at timestamptz not null default statement_timestamp(),
    constraint run_request_key primary key (namespace, request_id)
);
create index run_request_created on punctual.run_request (created_at);

-- Answers to changes of jobs, by request id, for 24 hours.
create table punctual.job_request (
    request_id text primary key,
    method text not null,
    job_id uuid not null,
    run_id uuid,
    created_at timestamptz not null
);
create index job_request_created on punctual.job_request (created_at);

-- Who is working ----------------------------------------------------------------------------------------------

-- One row per start of a worker process; a heartbeat writes this row and no run. Nothing indexes what it changes.
create table punctual.worker_lease (
    session uuid primary key,
    name text not null,
    namespace text not null,
    task_queue text not null,
    kinds text[] not null,
    places integer not null,
    draining boolean not null default false,
    registered_at timestamptz not null,
    beat_at timestamptz not null,
    expires_at timestamptz not null,
    -- The last heartbeat's list: [{"run_id", "attempt", "progress", "progress_note"}].
    held jsonb not null default '[]'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Sessions that have ended, for a day: what has ended is never opened again.
create table punctual.ended_session (
    session uuid primary key,
    ended_at timestamptz not null
);
create index ended_session_at on punctual.ended_session (ended_at);

create table punctual.scheduler_lease (
    replica uuid primary key,
    name text not null,
    started_at timestamptz not null,
    expires_at timestamptz not null
) with (fillfactor = 50);

-- Which scheduler publishes which part of the runs. It saves work and duplicates; nothing else rests on it.
create table punctual.shard (
    shard smallint primary key constraint shard_number check (shard between 0 and 63),
    replica uuid references punctual.scheduler_lease (replica) on delete set null
) with (fillfactor = 50);
insert into punctual.shard (shard) select generate_series(0, 63);

-- A queue node under one identity. A node that comes back without its data is another row.
create table punctual.queue_node (
    id integer generated always as identity primary key,
    address text not null,
    identity text not null,
    first_seen_at timestamptz not null,
    seen_at timestamptz not null,
    lost_at timestamptz,
    constraint queue_node_key unique (address, identity)
);

-- History: inserted once, dropped by the partition -------------------------------------------------------------

create table punctual.run_history (
    id uuid not null,
    retention text not null,
    ended_at timestamptz not null,
    namespace text not null,
    job_id uuid,
    job_version integer,
    origin text not null,
    state text not null
        constraint run_history_state check (state in ('succeeded', 'failed', 'cancelled', 'expired', 'skipped')),
    reason text not null default '',
    task_queue text not null,
    kind text not null,
    due_at timestamptz not null,
    shard_index integer not null,
    created_at timestamptz not null,
    started_at timestamptz,
    attempts integer not null,
    tries_used integer not null,
    error text not null default '',
    result text not null default ''
) partition by list (retention);

create table punctual.attempt_history (
    run_id uuid not null,
    attempt integer not null,
    retention text not null,
    ended_at timestamptz not null,
    outcome text not null
        constraint attempt_history_outcome
        check (outcome in ('succeeded', 'failed', 'timed_out', 'lost', 'cancelled', 'released')),
    session uuid not null,
    worker text not null,
    started_at timestamptz not null,
    error text not null default '',
    error_kind text not null default '',
    output_tail text not null default ''
) partition by list (retention);

-- Retention classes, each partitioned by the day of the end.
create table punctual.run_history_short partition of punctual.run_history for values in ('short') partition by range (ended_at);
create table punctual.run_history_default partition of punctual.run_history for values in ('default') partition by range (ended_at);
create table punctual.run_history_long partition of punctual.run_history for values in ('long') partition by range (ended_at);
create table punctual.attempt_history_short partition of punctual.attempt_history for values in ('short') partition by range (ended_at);
create table punctual.attempt_history_default partition of punctual.attempt_history for values in ('default') partition by range (ended_at);
create table punctual.attempt_history_long partition of punctual.attempt_history for values in ('long') partition by range (ended_at);

create index run_history_id on punctual.run_history (id);
create index run_history_job on punctual.run_history (job_id, id);
create index run_history_ended on punctual.run_history using brin (ended_at);
create index attempt_history_run on punctual.attempt_history (run_id, attempt);

-- Makes the partitions of `days` days from `first` on, and answers how many were missing. Called ahead of time by
-- every scheduler; two that meet make them once.
create function punctual.ensure_partitions(first date, days integer) returns integer
language plpgsql as $$
declare
    parent text;
    day date;
    child text;
    made integer := 0;
begin
    -- A new partition needs its parent for itself for a moment. Whoever reads history must not make everybody behind
    -- us wait: rather give up soon and try again later, days ahead of need.
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
                -- Days are days of UTC, whatever the session's time zone.
                execute format(
                    'create table punctual.%I partition of punctual.%I for values from (%L) to (%L)',
                    child, parent, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00'
                );
                made := made + 1;
            end if;
        end loop;
    end loop;
    return made;
end
$$;

-- Drops the partitions whose day lies more than their class's days before `today`, and answers how many.
create function punctual.drop_partitions(today date, ledger_days integer, short_days integer, default_days integer, long_days integer)
returns integer
language plpgsql as $$
declare
    part record;
    dropped integer := 0;
begin
    perform set_config('lock_timeout', '200ms', true);
    perform pg_advisory_xact_lock(7031, 1);
    for part in
        select c.relname,
               to_date(right(c.relname, 8), 'YYYYMMDD') as day,
               case when c.relname like 'run\_ledger\_%' then ledger_days
                    when c.relname like '%\_short\_%' then short_days
                    when c.relname like '%\_default\_%' then default_days
                    else long_days end as keep
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'punctual' and c.relkind = 'r' and c.relname ~ '^(run_ledger|(run|attempt)_history_(short|default|long))_\d{8}$'
    loop
        if part.day < today - part.keep then
            execute format('drop table punctual.%I', part.relname);
            dropped := dropped + 1;
        end if;
    end loop;
    return dropped;
end
$$;

select punctual.ensure_partitions((statement_timestamp() at time zone 'UTC')::date - 1, 9);
