-- Second statement of an admission: the due runs of each lane, as many as its task queue has room for, each with
-- whether another admitted run of its job is unfinished.
select r.id,
       r.lane,
       r.job_id,
       r.overlap,
       r.due_at,
       r.run_at,
       r.dispatch_seq,
       coalesce($1::timestamptz, statement_timestamp()) as "now!",
       (r.overlap <> 'allow' and exists (
           select from punctual.run_live other
           where other.job_id = r.job_id and other.id <> r.id
             and (other.state in ('queued', 'running') or (other.state = 'scheduled' and other.dispatch_seq > 0))
       )) as "unfinished!"
from unnest($2::integer[], $3::bigint[]) as l (lane, room)
cross join lateral (
    select d.*
    from punctual.run_live d
    where d.lane = l.lane and d.state = 'scheduled' and d.shard = any($4::smallint[])
      and d.run_at <= coalesce($1::timestamptz, statement_timestamp()) + $5::interval
      and (d.overlap = 'allow' or (d.run_at <= coalesce($1::timestamptz, statement_timestamp()) and d.job_id = any($6::uuid[])))
    order by d.run_at
    limit l.room
    for no key update skip locked
) r
order by r.run_at, r.id
