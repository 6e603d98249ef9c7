select k.namespace, k.request_id, k.run_id
from punctual.run_request k
where (k.namespace, k.request_id) in (select * from unnest($1::text[], $2::text[]))
