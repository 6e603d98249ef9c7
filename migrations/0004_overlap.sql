-- All overlap policies, concurrency keys, priorities, and task queues that can be paused: what a due run is judged by
-- stands in its row, and what it waits for too. The binary of before goes on working: to it there is nothing but new
-- columns with defaults.

-- A kind of work in a task queue has a lane for each priority that it is given.
alter table punctual.lane add column priority smallint not null default 5
    constraint lane_priority check (priority between 0 and 9);
alter table punctual.lane drop constraint lane_key;
alter table punctual.lane add constraint lane_key unique (namespace, task_queue, kind, priority);

alter table punctual.run_live drop constraint run_live_overlap;
alter table punctual.run_live add constraint run_live_overlap
    check (overlap in ('allow', 'skip', 'queue_one', 'queue_all', 'cancel_running', 'kill_running'));
alter table punctual.run_live
    add column max_running integer not null default 1 constraint run_live_max_running check (max_running >= 1),
    -- What it waits for while it is blocked.
    add column block_reason text not null default '',
    -- Its concurrency key with its namespace before it, `default/customer-7`, and how many places that has.
    add column key_path text,
    add column key_limit integer,
    add constraint run_live_block_reason check (
        block_reason in ('', 'overlap', 'concurrency_key', 'task_queue_paused') and (state = 'blocked') = (block_reason <> '')
    ),
    add constraint run_live_key check ((key_path is null) = (key_limit is null) and key_limit >= 1);

-- What an end may let go: the blocked runs of a job, of a key, of a task queue, each in the order in which they go on.
create index run_live_blocked_job on punctual.run_live (job_id, due_at, run_at, id)
    where state = 'blocked' and dispatch_seq = 0 and job_id is not null and overlap <> 'allow';
create index run_live_blocked_key on punctual.run_live (key_path, due_at, run_at, id)
    where state = 'blocked' and block_reason = 'concurrency_key';
create index run_live_paused on punctual.run_live (lane, due_at, id)
    where state = 'blocked' and block_reason = 'task_queue_paused';
-- Who stands in line for a place: those that were never admitted.
create index run_live_key_line on punctual.run_live (key_path, due_at, run_at, id)
    where key_path is not null and dispatch_seq = 0;

-- A place under a concurrency key goes with the run that has it, whatever ends the run.
create table punctual.concurrency_place (
    key_path text not null,
    place integer not null constraint concurrency_place_number check (place >= 1),
    run_id uuid not null references punctual.run_live (id) on delete cascade,
    constraint concurrency_place_key primary key (key_path, place),
    constraint concurrency_place_run unique (run_id)
);

-- Task queues of which something is known beside their names: so far, that they are paused. A queue without a row is not.
create table punctual.task_queue (
    namespace text not null references punctual.namespace (name),
    name text not null constraint task_queue_name check (name ~ '^[a-z0-9_-]{1,34}$'),
    -- Since when nothing of it is admitted; null while it is.
    paused_at timestamptz,
    pause_reason text not null default '',
    constraint task_queue_key primary key (namespace, name)
);

create view punctual.blocked as
select r.id as run_id,
       l.namespace,
       coalesce(j.name, '') as job,
       r.block_reason as reason,
       coalesce(substr(r.key_path, length(l.namespace) + 2), '') as concurrency_key,
       r.overlap,
       r.due_at,
       l.task_queue,
       l.kind,
       l.priority
from punctual.run_live r
join punctual.lane l on l.id = r.lane
left join punctual.job j on j.id = r.job_id
where r.state = 'blocked';

comment on view punctual.blocked is 'The runs that fell due and wait for something to end.';
comment on column punctual.blocked.run_id is 'The run.';
comment on column punctual.blocked.namespace is 'Namespace of the job or of the one-off run.';
comment on column punctual.blocked.job is 'Name of the job; empty for a one-off run.';
comment on column punctual.blocked.reason is 'What it waits for: overlap (an earlier run of the job), concurrency_key (a place) or task_queue_paused.';
comment on column punctual.blocked.concurrency_key is 'Its concurrency key; empty when it has none.';
comment on column punctual.blocked.overlap is 'Its overlap policy.';
comment on column punctual.blocked.due_at is 'When it fell due. Those that wait for the same go on in this order.';
comment on column punctual.blocked.task_queue is 'Task queue it will wait in.';
comment on column punctual.blocked.kind is 'Kind of handler it needs; exec for programs.';
comment on column punctual.blocked.priority is '0 to 9; the higher goes first.';

alter table punctual.run_history
    add column priority smallint not null default 5,
    add column concurrency_key text not null default '';
