-- The one that was planned longest ago, of those with room for more. Each is planned by one scheduler at a time.
select b.id, b.job_id, b.job_version, b.next_due_at as "next_due_at!", b.until_at, b.overlap,
       coalesce($2::timestamptz, statement_timestamp()) as "now!"
from punctual.backfill b
where b.state = 'planning'
  and (select count(*) from (select from punctual.run_live r where r.backfill = b.id limit $1::bigint + 1) live) <= $1
order by b.updated_at, b.id
limit 1
for no key update skip locked
