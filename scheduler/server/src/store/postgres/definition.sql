select v.job_id, v.version, v.spec, j.namespace, j.name, j.created_at
from punctual.job_version v
join punctual.job j on j.id = v.job_id
where (v.job_id, v.version) in (select * from unnest($1::uuid[], $2::integer[]))
