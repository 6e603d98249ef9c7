-- A job whose schedule has ended, or cannot be evaluated, says so.
with stopped as (
    update punctual.job j
    set state = s.state, state_reason = s.reason, revision = j.revision + 1, updated_at = $4
    from unnest($1::uuid[], $2::text[], $3::text[]) as s (job_id, state, reason)
    where j.id = s.job_id and j.state = 'active'
    returning j.id, j.version, j.state, j.state_reason
)
insert into punctual.job_event (job_id, at, kind, actor, version, note)
select id, $4, state, $5, version, state_reason from stopped order by id
