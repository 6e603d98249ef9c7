-- The next jobs in turn that have blocked runs, one probe of the index for each.
with recursive found as (
    (
        select b.job_id
        from punctual.run_live b
        where b.state = 'blocked' and b.job_id is not null and b.dispatch_seq = 0 and b.overlap <> 'allow' and b.job_id > $1
        order by b.job_id
        limit 1
    )
    union all
    (
        select (
            select b.job_id
            from punctual.run_live b
            where b.state = 'blocked' and b.job_id is not null and b.dispatch_seq = 0 and b.overlap <> 'allow' and b.job_id > f.job_id
            order by b.job_id
            limit 1
        )
        from found f
        where f.job_id is not null
    )
)
select job_id as "job_id!" from found where job_id is not null limit $2
