select namespace, name, spec, created_at, updated_at
from punctual.calendar
where namespace = $1 and ($2::text is null or name = $2)
order by name
