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
