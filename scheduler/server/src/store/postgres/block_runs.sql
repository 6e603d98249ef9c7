-- Its deadlines stay as they are: they count while it waits, too.
update punctual.run_live r
set state = 'blocked', block_reason = b.reason
from unnest($1::uuid[], $2::text[]) as b (id, reason)
where r.id = b.id and r.state = 'scheduled'
