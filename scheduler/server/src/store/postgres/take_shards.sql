with free as (
    select shard from punctual.shard where replica is null order by shard limit $2 for update skip locked
)
update punctual.shard s
set replica = $1
from free
where s.shard = free.shard and s.replica is null
returning s.shard
