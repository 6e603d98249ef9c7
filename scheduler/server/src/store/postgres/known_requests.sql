select k.namespace, k.request_id, k.run_id, j.name as "job?"
from punctual.run_request k
left join punctual.job j on j.id = k.job_id
where (k.namespace, k.request_id) in (select * from unnest($1::text[], $2::text[]))
