-- Another identity at the same address: the older one's messages are gone.
update punctual.queue_node n
set lost_at = coalesce($3::timestamptz, statement_timestamp())
from unnest($1::text[], $2::text[]) as s (address, identity)
where n.address = s.address and n.identity <> s.identity and n.lost_at is null
