-- A job whose schedule has ended, or cannot be evaluated, says so.
update punctual.job j
set state = s.state, state_reason = s.reason, revision = j.revision + 1, updated_at = $4
from unnest($1::uuid[], $2::text[], $3::text[]) as s (job_id, state, reason)
where j.id = s.job_id and j.state = 'active'
