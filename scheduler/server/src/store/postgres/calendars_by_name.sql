select c.namespace, c.name, c.revision,
       -- What is known already is not sent again.
       case when c.revision = w.known then null else c.spec end as spec
from unnest($1::text[], $2::text[], $3::bigint[]) as w (namespace, name, known)
join punctual.calendar c on c.namespace = w.namespace and c.name = w.name
