with made as (
    select *
    from unnest(
        $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::smallint[], $7::integer[], $8::timestamptz[],
        $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::bigint[], $13::integer[], $14::jsonb[]
    ) as m (id, job_id, job_version, origin, overlap, shard, lane, run_at, start_deadline, close_deadline,
            start_to_close_ms, cancel_grace_ms, node, spec)
), specs as (
    insert into punctual.run_spec (run_id, spec) select id, spec from made where spec is not null
)
insert into punctual.run_live (
    id, state, shard, lane, job_id, job_version, origin, overlap, due_at, run_at, created_at, start_deadline, close_deadline,
    start_to_close_ms, cancel_grace_ms, dispatch_seq, node, publisher, queued_at, reap_at
)
select id, case when node is null then 'scheduled' else 'queued' end, shard, lane, job_id, job_version, origin, overlap,
       run_at, run_at, $15, start_deadline, close_deadline, start_to_close_ms, cancel_grace_ms,
       case when node is null then 0 else 1 end, node, case when node is null then null else $16::uuid end,
       case when node is null then null else $15::timestamptz end,
       least(start_deadline, close_deadline, case when node is null then null else $15::timestamptz + $17::interval end)
from made
