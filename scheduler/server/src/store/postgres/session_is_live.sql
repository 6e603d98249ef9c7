select exists (
    select from punctual.worker_lease where session = $1 and expires_at > coalesce($2::timestamptz, statement_timestamp())
) as "live!"
