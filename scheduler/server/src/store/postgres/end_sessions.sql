with silent as (
    select session from punctual.worker_lease
    where expires_at <= coalesce($1::timestamptz, statement_timestamp())
    order by session
    limit $2
    for update skip locked
), ended as (
    delete from punctual.worker_lease w
    using silent s
    where w.session = s.session and w.expires_at <= coalesce($1::timestamptz, statement_timestamp())
    returning w.session
), remembered as (
    insert into punctual.ended_session (session, ended_at)
    select session, coalesce($1::timestamptz, statement_timestamp()) from ended
    -- Remembered already is as good: one id must never keep the others from being ended.
    on conflict (session) do nothing
)
select count(*) as "ended!" from ended
