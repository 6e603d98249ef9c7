-- What stands beside a job's definition and state. The caller holds the cursor's lock.
with moved as (
    update punctual.job_cursor set delayed_at = $2 where job_id = $1
)
update punctual.job
set paused_at = $3, paused_by = $4, paused_until = $5, follows_end = $6, keep_success = $7, keep_failure = $8
where id = $1
