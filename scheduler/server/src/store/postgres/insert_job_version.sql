insert into punctual.job_version (job_id, version, spec, author, created_at)
values ($1, $2, $3, $4, $5)
