with ended as (
    delete from punctual.worker_lease where session = $1 returning session
)
insert into punctual.ended_session (session, ended_at)
select session, coalesce($2::timestamptz, statement_timestamp()) from ended
-- Remembered already is as good.
on conflict (session) do nothing
