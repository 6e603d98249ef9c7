-- One that is done has nothing to stop.
update punctual.backfill b
set state = 'cancelled', state_reason = $2, next_due_at = null, updated_at = coalesce($3::timestamptz, statement_timestamp())
where b.id = $1
  and (b.state = 'planning'
       or (b.state = 'running' and exists (select from punctual.backfill_run r where r.backfill = b.id and r.state is null)))
