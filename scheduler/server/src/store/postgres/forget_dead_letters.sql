delete from punctual.dead_letter d
where d.run_id in (
    select o.run_id
    from punctual.dead_letter o
    where o.ended_at < coalesce($1::timestamptz, statement_timestamp()) - interval '3 days'
      and not exists (select from punctual.run_history h where h.id = o.run_id and h.ended_at = o.ended_at)
    limit $2
)
