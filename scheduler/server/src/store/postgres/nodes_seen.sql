with seen as (
    select * from unnest($1::text[], $2::text[]) with ordinality as s (address, identity, ordinal)
), known as (
    insert into punctual.queue_node (address, identity, first_seen_at, seen_at)
    select address, identity, coalesce($3::timestamptz, statement_timestamp()), coalesce($3::timestamptz, statement_timestamp()) from seen order by address, identity
    on conflict on constraint queue_node_key do update set seen_at = excluded.seen_at, lost_at = null
    returning id, address, identity
)
select k.id from seen s join known k using (address, identity) order by s.ordinal
