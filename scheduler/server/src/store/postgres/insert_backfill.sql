-- Of the version that was looked at. A delete of the job waits for this row, and stops it, or is seen.
insert into punctual.backfill (
    id, namespace, job_id, job_version, from_at, until_at, overlap, state, next_due_at, instants, author, created_at, updated_at
)
select $1::uuid, j.namespace, j.id, j.version, $4::timestamptz, $5::timestamptz, $6::text, 'planning', $4, $7::bigint, $8::text,
       $9::timestamptz, $9
from punctual.job j
where j.id = $2 and j.version = $3 and j.state <> 'deleted'
for key share
