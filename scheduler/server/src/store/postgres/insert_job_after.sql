insert into punctual.job_after (
    job_id, namespace, upstream_name, upstream_job, on_states, starts_at, ends_at, job_version, lane, shard, overlap,
    schedule_to_start_ms, schedule_to_close_ms, start_to_close_ms, cancel_grace_ms, max_running, key_path, key_limit
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
