update punctual.shard set replica = null where replica = $1 and shard = any($2::smallint[])
