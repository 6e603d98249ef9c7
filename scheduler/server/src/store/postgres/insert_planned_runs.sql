-- The ledger decides whether an instant becomes a run; only what it took is written down.
with planned as (
    select *
    from unnest(
        $1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[], $5::smallint[], $6::integer[], $7::text[],
        $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::bigint[], $13::timestamptz[], $14::integer[], $15::text[],
        $16::integer[]
    ) as p (id, job_id, job_version, due_at, shard, lane, overlap, start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms, run_at,
            max_running, key_path, key_limit)
), ledger as (
    insert into punctual.run_ledger (job_id, due_at, shard_index, run_id)
    select job_id, due_at, 0, id from planned order by job_id, due_at
    on conflict on constraint run_ledger_key do nothing
    returning run_id
)
insert into punctual.run_live (
    id, state, shard, lane, job_id, job_version, origin, overlap, due_at, run_at, created_at,
    start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms, reap_at, max_running, key_path, key_limit
)
select p.id, 'scheduled', p.shard, p.lane, p.job_id, p.job_version, 'schedule', p.overlap, p.due_at, p.run_at, $12,
       p.start_deadline, p.close_deadline, p.start_to_close_ms, p.cancel_grace_ms, least(p.start_deadline, p.close_deadline),
       p.max_running, p.key_path, p.key_limit
from planned p
join ledger l on l.run_id = p.id
