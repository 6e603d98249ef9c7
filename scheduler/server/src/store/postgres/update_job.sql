-- The caller holds the cursor's lock. Answers the new revision: planning up to now may have raised it too.
with job as (
    update punctual.job
    set version = $2, state = $3, state_reason = $4, revision = revision + 1, updated_at = $5
    where id = $1
    returning id, revision
), moved as (
    update punctual.job_cursor c
    set version = $2, next_due_at = $6
    from job
    where c.job_id = job.id
), event as (
    insert into punctual.job_event (job_id, at, since, kind, actor, version, note)
    select job.id, $5, e.since, e.kind, e.actor, $2, e.note
    from job, unnest($7::text[], $8::text[], $9::text[], $10::timestamptz[]) with ordinality as e (kind, actor, note, since, place)
    order by e.place
)
select revision from job
