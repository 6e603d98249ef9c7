-- A backfill of which nothing has happened for as long as history is kept. Its runs are a million at most.
with old as (
    select b.id
    from punctual.backfill b
    where b.updated_at < coalesce($1::timestamptz, statement_timestamp()) - interval '30 days'
      and b.state <> 'planning'
      and not exists (select from punctual.backfill_run r where r.backfill = b.id and r.state is null)
    order by b.id
    limit 1
    for update skip locked
), runs as (
    delete from punctual.backfill_run r using old where r.backfill = old.id
)
delete from punctual.backfill b using old where b.id = old.id
