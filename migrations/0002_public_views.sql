-- What people read: the runs that ended and the runs to come. Column names and meanings here are a public interface.

create view punctual.job_history as
select h.id as run_id,
       h.namespace,
       coalesce(j.name, '') as job,
       h.job_version,
       h.origin,
       h.state,
       h.reason,
       h.task_queue,
       h.kind,
       h.due_at,
       h.created_at,
       h.started_at,
       h.ended_at,
       h.started_at - h.due_at as waited,
       h.ended_at - h.started_at as took,
       h.attempts,
       h.tries_used,
       coalesce(a.worker, '') as worker,
       h.error,
       coalesce(a.output_tail, '') as output_tail,
       h.result
from punctual.run_history h
left join punctual.job j on j.id = h.job_id
-- The attempt that ended the run ended with it, to the microsecond: this finds its partition without a search.
left join punctual.attempt_history a
       on a.run_id = h.id and a.attempt = h.attempts and a.ended_at = h.ended_at and a.retention = h.retention;

comment on view punctual.job_history is 'One row for each run that has ended, with the attempt that ended it.';
comment on column punctual.job_history.run_id is 'The run. Sorts by creation.';
comment on column punctual.job_history.namespace is 'Namespace of the job or of the one-off run.';
comment on column punctual.job_history.job is 'Name of the job; empty for a one-off run.';
comment on column punctual.job_history.job_version is 'Version of the job''s definition that was run; null for a one-off run.';
comment on column punctual.job_history.origin is 'What made the run: schedule, trigger or one_off.';
comment on column punctual.job_history.state is 'How it ended: succeeded, failed, cancelled, expired or skipped.';
comment on column punctual.job_history.reason is 'Why it was skipped, expired or cancelled; empty otherwise.';
comment on column punctual.job_history.task_queue is 'Task queue it waited in.';
comment on column punctual.job_history.kind is 'Kind of handler it needed; exec for programs.';
comment on column punctual.job_history.due_at is 'The nominal instant; never changes.';
comment on column punctual.job_history.created_at is 'When the run was written down; up to 10 s before it was due.';
comment on column punctual.job_history.started_at is 'When its last attempt was granted; null when it never started.';
comment on column punctual.job_history.ended_at is 'When it became final.';
comment on column punctual.job_history.waited is 'From due to the start of the last attempt.';
comment on column punctual.job_history.took is 'From the start of the last attempt to the end.';
comment on column punctual.job_history.attempts is 'How many attempts were granted.';
comment on column punctual.job_history.tries_used is 'How many of them failed, timed out or were lost.';
comment on column punctual.job_history.worker is 'Name of the worker of the last attempt.';
comment on column punctual.job_history.error is 'What went wrong in the last attempt that ended badly.';
comment on column punctual.job_history.output_tail is 'The last 4 KiB of what the last attempt printed.';
comment on column punctual.job_history.result is 'What the handler returned, as JSON text.';

create view punctual.upcoming as
select r.id as run_id,
       l.namespace,
       coalesce(j.name, '') as job,
       r.job_version,
       r.state,
       r.due_at,
       r.run_at,
       l.task_queue,
       l.kind,
       r.tries_used
from punctual.run_live r
join punctual.lane l on l.id = r.lane
left join punctual.job j on j.id = r.job_id
where r.state in ('scheduled', 'blocked')
union all
select null, j.namespace, j.name, c.version, 'planned', c.next_due_at, c.next_due_at,
       v.spec ->> 'task_queue', coalesce(v.spec -> 'task' -> 'handler' ->> 'kind', 'exec'), 0
from punctual.job_cursor c
join punctual.job j on j.id = c.job_id
join punctual.job_version v on v.job_id = c.job_id and v.version = c.version
where c.next_due_at is not null and j.state = 'active';

comment on view punctual.upcoming is 'The runs that wait for their time, and the next instant of each job beyond them.';
comment on column punctual.upcoming.run_id is 'The run; null for an instant that is not planned yet (more than 10 s ahead).';
comment on column punctual.upcoming.namespace is 'Namespace of the job or of the one-off run.';
comment on column punctual.upcoming.job is 'Name of the job; empty for a one-off run.';
comment on column punctual.upcoming.job_version is 'Version of the job''s definition; null for a one-off run.';
comment on column punctual.upcoming.state is 'scheduled, blocked, or planned for an instant beyond the look-ahead.';
comment on column punctual.upcoming.due_at is 'The nominal instant.';
comment on column punctual.upcoming.run_at is 'When it may next be queued: the nominal instant, or the end of a back-off.';
comment on column punctual.upcoming.task_queue is 'Task queue it will wait in.';
comment on column punctual.upcoming.kind is 'Kind of handler it needs; exec for programs.';
comment on column punctual.upcoming.tries_used is 'How many tries it has used so far.';
