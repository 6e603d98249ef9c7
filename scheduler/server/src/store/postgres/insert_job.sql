with job as (
    insert into punctual.job (id, namespace, name, version, state, created_at, updated_at)
    values ($1, $2, $3, 1, $4, $5, $5)
    returning id
), version as (
    insert into punctual.job_version (job_id, version, spec, author, created_at)
    select id, 1, $6, $7, $5 from job
), event as (
    insert into punctual.job_event (job_id, at, kind, actor, version)
    select job.id, $5, e.kind, e.actor, 1
    from job, unnest($9::text[], $10::text[]) with ordinality as e (kind, actor, place)
    order by e.place
)
insert into punctual.job_cursor (job_id, version, next_due_at)
select id, 1, $8 from job
