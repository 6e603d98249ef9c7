update punctual.queue_node set lost_at = coalesce($2::timestamptz, statement_timestamp()) where id = $1 and lost_at is null
