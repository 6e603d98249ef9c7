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
)
select revision from job
