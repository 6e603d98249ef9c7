-- Locks the cursors that planning has to move. Skipping locked ones is what lets any number of planners work side
-- by side; an update of a job holds the same lock.
select c.job_id,
       c.version,
       c.next_due_at as "next_due_at!",
       c.delayed_at,
       coalesce($1::timestamptz, statement_timestamp()) as "now!"
from punctual.job_cursor c
where c.next_due_at <= coalesce($1::timestamptz, statement_timestamp()) + $2::interval
order by c.next_due_at
limit $3
for no key update skip locked
