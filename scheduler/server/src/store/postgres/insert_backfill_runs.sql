-- The key decides whether an instant becomes a run; only what it took is written down.
with planned as (
    select * from unnest($1::uuid[], $2::timestamptz[]) as p (id, due_at)
), ledger as (
    insert into punctual.backfill_run (backfill, due_at, shard_index, run_id)
    select $3::uuid, due_at, 0, id from planned order by due_at
    on conflict on constraint backfill_run_key do nothing
    returning run_id
)
insert into punctual.run_live (
    id, state, shard, lane, job_id, job_version, origin, overlap, due_at, run_at, created_at,
    start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms, reap_at, backfill, max_running, key_path, key_limit
)
select p.id, 'scheduled', $6::smallint, $7::integer, $4::uuid, $5::integer, 'backfill', $8::text, p.due_at, $13::timestamptz, $13,
       $9::timestamptz, $10::timestamptz, $11::bigint, $12::bigint, least($9::timestamptz, $10::timestamptz), $3,
       $14::integer, $15::text, $16::integer
from planned p
join ledger l on l.run_id = p.id
