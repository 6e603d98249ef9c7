-- Second statement of an admission: the due runs of each lane, as many as its task queue has room for, and those whose
-- overlap is to be judged, each with what else there is of its job: admitted and unfinished, or blocked. Where others' runs crowd
-- the front of a lane, each shard's own first are looked up instead: nobody reads through a backlog that is not his.
with picked as (
    (
        select d.id
        from unnest($2::integer[], $3::bigint[]) as l (lane, room)
        -- With all shards the first runs of a lane are ours; with fewer, half as many again as that takes on average.
        cross join lateral (select l.room * least(4, 96 / greatest(cardinality($4::smallint[]), 1)) as rows) reach
        cross join lateral (
            with front as materialized (
                select r.id, r.run_at, r.shard = any($4::smallint[]) as ours
                from punctual.run_live r
                where r.lane = l.lane and r.state = 'scheduled' and r.overlap = 'allow'
                  and r.run_at <= coalesce($1::timestamptz, statement_timestamp()) + $5::interval
                order by r.run_at, r.id
                limit reach.rows
            ), seen as materialized (
                select count(*) = reach.rows and count(*) filter (where ours) < l.room as crowded from front
            )
            (
                select f.id, f.run_at
                from front f
                where f.ours and not (select crowded from seen)
                order by f.run_at, f.id
                limit l.room
            )
            union all
            (
                select own.id, own.run_at
                from unnest($4::smallint[]) as s (shard)
                cross join lateral (
                    select r.id, r.run_at
                    from punctual.run_live r
                    where r.lane = l.lane and r.state = 'scheduled' and r.overlap = 'allow' and r.shard = s.shard
                      and r.run_at <= coalesce($1::timestamptz, statement_timestamp()) + $5::interval
                    order by r.run_at, r.id
                    limit l.room
                ) own
                where (select crowded from seen)
                order by own.run_at, own.id
                limit l.room
            )
        ) d
    )
    union all
    (
        select d.id
        from unnest($6::uuid[]) as j (job_id)
        cross join lateral (
            select r.id, r.run_at
            from punctual.run_live r
            where r.job_id = j.job_id and r.lane = any($2::integer[]) and r.state = 'scheduled' and r.overlap <> 'allow'
              and r.shard = any($4::smallint[]) and r.run_at <= coalesce($1::timestamptz, statement_timestamp())
            order by r.due_at
            limit $7
        ) d
        order by d.run_at, d.id
        limit $7 * cardinality($2::integer[])
    )
)
select r.id,
       r.lane,
       r.job_id,
       r.overlap,
       r.due_at,
       r.run_at,
       r.dispatch_seq,
       r.max_running,
       r.key_path,
       r.key_limit,
       coalesce($1::timestamptz, statement_timestamp()) as "now!",
       case when r.overlap = 'allow' then 0 else (
           select count(*)::integer
           from (
               select from punctual.run_live other
               where other.job_id = r.job_id and other.id <> r.id and other.dispatch_seq > 0
               limit r.max_running
           ) found
       ) end as "unfinished!",
       -- Not `exists`, for which the planner may read all that is blocked, of whichever jobs.
       (r.overlap <> 'allow' and coalesce((
           select true from punctual.run_live other
           where other.job_id = r.job_id and other.state = 'blocked' and other.dispatch_seq = 0 and other.overlap <> 'allow'
           limit 1
       ), false)) as "job_blocked!",
       (r.overlap <> 'allow' and exists (
           select from punctual.run_live other
           where other.job_id = r.job_id and other.state = 'blocked' and other.dispatch_seq = 0 and other.overlap <> 'allow'
             and (other.due_at, other.run_at, other.id) < (r.due_at, r.run_at, r.id)
       )) as "older_blocked!"
from (select id from picked order by id) as p
-- One by one in the order of locks, by their ids: never by reading all that is scheduled, whatever the planner believes.
cross join lateral (
    select * from punctual.run_live l where l.id = p.id and l.state = 'scheduled' limit 1 for no key update skip locked
) r
order by r.id
