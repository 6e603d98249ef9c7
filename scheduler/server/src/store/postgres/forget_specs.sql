-- History is kept three days at least; a run that waits for a date far ahead is live.
delete from punctual.run_spec s
where s.run_id in (
    select o.run_id
    from punctual.run_spec o
    where o.created_at < coalesce($1::timestamptz, statement_timestamp()) - interval '3 days'
      and not exists (select from punctual.run_live r where r.id = o.run_id)
      and not exists (select from punctual.run_history h where h.id = o.run_id)
    limit $2
)
