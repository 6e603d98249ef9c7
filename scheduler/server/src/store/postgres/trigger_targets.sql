select j.id, j.version, j.namespace, j.name, v.spec
from unnest($1::text[], $2::text[]) as t (namespace, name)
join punctual.job j on j.namespace = t.namespace and j.name = t.name and j.state <> 'deleted'
join punctual.job_version v on v.job_id = j.id and v.version = j.version
