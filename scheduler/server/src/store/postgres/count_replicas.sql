select count(*) as "replicas!" from punctual.scheduler_lease where expires_at >= coalesce($1::timestamptz, statement_timestamp())
