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
