-- The next keys in turn that have blocked runs, one probe of the index for each.
with recursive found as (
    (
        select b.key_path
        from punctual.run_live b
        where b.state = 'blocked' and b.block_reason = 'concurrency_key' and b.key_path > $1
        order by b.key_path
        limit 1
    )
    union all
    (
        select (
            select b.key_path
            from punctual.run_live b
            where b.state = 'blocked' and b.block_reason = 'concurrency_key' and b.key_path > f.key_path
            order by b.key_path
            limit 1
        )
        from found f
        where f.key_path is not null
    )
)
select key_path as "key_path!" from found where key_path is not null limit $2
