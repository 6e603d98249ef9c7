select shard from punctual.shard where replica = $1 order by shard
