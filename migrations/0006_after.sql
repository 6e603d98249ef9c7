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
