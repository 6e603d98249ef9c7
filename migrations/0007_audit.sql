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
