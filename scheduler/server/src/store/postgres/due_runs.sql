-- Second statement of an admission: the due runs of each lane, as many as its task queue has room for, and those whose
-- overlap is to be judged, each with whether another admitted run of its job is unfinished.
with picked as (
    (
        select d.id
        from unnest($2::integer[], $3::bigint[]) as l (lane, room)
        cross join lateral (
            select r.id
            from punctual.run_live r
            where r.lane = l.lane and r.state = 'scheduled' and r.overlap = 'allow' and r.shard = any($4::smallint[])
              and r.run_at <= coalesce($1::timestamptz, statement_timestamp()) + $5::interval
            order by r.run_at
            limit l.room
        ) d
    )
    union all
    (
        select d.id
        from unnest($2::integer[]) as l (lane)
        cross join lateral (
            select r.id
            from punctual.run_live r
            where r.lane = l.lane and r.state = 'scheduled' and r.overlap <> 'allow' and r.shard = any($4::smallint[])
              and r.run_at <= coalesce($1::timestamptz, statement_timestamp()) and r.job_id = any($6::uuid[])
            order by r.run_at
            limit $7
        ) d
    )
)
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
           where other.job_id = r.job_id and other.id <> r.id and other.dispatch_seq > 0
       )) as "unfinished!"
from punctual.run_live r
where r.id in (select id from picked) and r.state = 'scheduled'
order by r.id
for no key update of r skip locked
