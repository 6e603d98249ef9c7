select v.job_id, v.version, v.spec, j.namespace, j.name
from punctual.job_version v
join punctual.job j on j.id = v.job_id
where (v.job_id, v.version) in (select * from unnest($1::uuid[], $2::integer[]))
