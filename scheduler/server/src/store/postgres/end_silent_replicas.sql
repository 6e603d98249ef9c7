-- Deleting the row is what ends the lease, once; the foreign key frees its shards in the same statement.
with silent as (
    select replica from punctual.scheduler_lease
    where expires_at < coalesce($1::timestamptz, statement_timestamp()) and replica <> $2
    order by replica
    for update skip locked
)
delete from punctual.scheduler_lease l
using silent s
where l.replica = s.replica and l.expires_at < coalesce($1::timestamptz, statement_timestamp())
returning l.replica, l.expires_at
