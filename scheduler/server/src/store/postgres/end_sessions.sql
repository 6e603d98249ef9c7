with silent as (
    select session from punctual.worker_lease
    where expires_at <= coalesce($1::timestamptz, statement_timestamp())
    order by session
    limit $2
    for update skip locked
)
delete from punctual.worker_lease w
using silent s
where w.session = s.session and w.expires_at <= coalesce($1::timestamptz, statement_timestamp())
