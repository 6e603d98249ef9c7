with before as (
    select session, beat_at, held from punctual.worker_lease where session = $1
)
update punctual.worker_lease w
set beat_at = coalesce($2::timestamptz, statement_timestamp()), expires_at = coalesce($2::timestamptz, statement_timestamp()) + $3::interval,
    held = $4, draining = w.draining or $5
from before b
where w.session = b.session and w.expires_at > coalesce($2::timestamptz, statement_timestamp())
returning b.beat_at as "previous_beat_at!", b.held as "previous_held!"
