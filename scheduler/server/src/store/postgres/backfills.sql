select b.id, b.namespace, j.name as job, b.job_version, b.from_at, b.until_at, b.overlap, b.state, b.state_reason, b.instants,
       b.created_at, progress.live as "live!", progress.ended as "ended!"
from punctual.backfill b
join punctual.job j on j.id = b.job_id
cross join lateral (
    select coalesce(sum(c.runs) filter (where c.state is null), 0)::bigint as live,
           coalesce(jsonb_object_agg(c.state, c.runs) filter (where c.state is not null), '{}') as ended
    from (
        select r.state, count(*) as runs
        from punctual.backfill_run r
        where r.backfill = b.id
        group by r.state
    ) c
) progress
where ($1::uuid is null or b.id = $1)
  and ($2::text is null or b.namespace = $2)
  and ($3::text is null or b.job_id in (select id from punctual.job where namespace = $2 and name = $3))
  and ($4::uuid is null or b.id < $4)
order by b.id desc
limit $5
