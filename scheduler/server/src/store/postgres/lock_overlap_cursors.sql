-- First statement of an admission: whoever judges the overlap of a job holds its cursor. The second statement then
-- judges on a snapshot taken after these locks. Where a task queue has no room, a run is still to be skipped at its
-- time when another one of its job is unfinished. Others' runs at the front of a lane are passed over as there.
select c.job_id
from punctual.job_cursor c
where c.job_id in (
    select due.job_id
    from unnest($2::integer[], $3::bigint[]) as l (lane, room)
    cross join lateral (select $5::bigint * least(4, 96 / greatest(cardinality($4::smallint[]), 1)) as rows) reach
    cross join lateral (
        with front as materialized (
            select r.job_id, r.run_at, r.shard = any($4::smallint[]) as ours
            from punctual.run_live r
            where r.lane = l.lane and r.state = 'scheduled' and r.overlap <> 'allow'
              and r.run_at <= coalesce($1::timestamptz, statement_timestamp())
            order by r.run_at
            limit reach.rows
        ), seen as materialized (
            select count(*) = reach.rows and count(*) filter (where ours) < $5 as crowded from front
        )
        (
            select f.job_id
            from front f
            where f.ours and not (select crowded from seen)
            order by f.run_at
            limit $5
        )
        union all
        (
            select own.job_id
            from unnest($4::smallint[]) as s (shard)
            cross join lateral (
                select r.job_id, r.run_at
                from punctual.run_live r
                where r.lane = l.lane and r.state = 'scheduled' and r.overlap <> 'allow' and r.shard = s.shard
                  and r.run_at <= coalesce($1::timestamptz, statement_timestamp())
                order by r.run_at
                limit $5
            ) own
            where (select crowded from seen)
            order by own.run_at
            limit $5
        )
    ) due
    where l.room > 0 or exists (
        select from punctual.run_live other
        where other.job_id = due.job_id and other.dispatch_seq > 0
    )
)
order by c.job_id
for no key update skip locked
