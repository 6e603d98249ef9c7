select v.version, v.spec, v.author, v.created_at
from punctual.job_version v
where v.job_id = $1 and ($2::integer is null or v.version < $2)
order by v.version desc
limit $3
