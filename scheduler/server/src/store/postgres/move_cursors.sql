update punctual.job_cursor c
set next_due_at = m.next_due_at, delayed_at = m.delayed_at
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) as m (job_id, next_due_at, delayed_at)
where c.job_id = m.job_id
