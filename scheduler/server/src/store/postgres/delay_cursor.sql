-- Puts the instant of a fixed delay.
update punctual.job_cursor
set delayed_at = $2, next_due_at = least(next_due_at, $2)
where job_id = $1
