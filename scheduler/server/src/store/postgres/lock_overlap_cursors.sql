-- First statement of an admission: whoever judges the overlap of a job holds its cursor. The second statement then
-- judges on a snapshot taken after these locks. Where a task queue has no room, a run is still to be skipped at its
-- time when another one of its job is unfinished.
select c.job_id
from punctual.job_cursor c
where c.job_id in (
    select due.job_id
    from unnest($2::integer[], $3::bigint[]) as l (lane, room)
    cross join lateral (
        select r.job_id
        from punctual.run_live r
        where r.lane = l.lane and r.state = 'scheduled' and r.overlap <> 'allow' and r.shard = any($4::smallint[])
          and r.run_at <= coalesce($1::timestamptz, statement_timestamp())
        order by r.run_at
        limit $5
    ) due
    where l.room > 0 or exists (
        select from punctual.run_live other
        where other.job_id = due.job_id and other.dispatch_seq > 0
    )
)
order by c.job_id
for no key update skip locked
