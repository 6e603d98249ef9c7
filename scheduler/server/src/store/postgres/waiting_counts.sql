-- Runs that are due and not started, lane by lane, each count cut off so that a huge backlog costs no more to look at.
select l.namespace, l.task_queue, due.runs + queued.runs as "waiting!"
from punctual.lane l
cross join lateral (
    select count(*) as runs
    from (
        (
            select 1
            from punctual.run_live r
            where r.lane = l.id and r.state = 'scheduled' and r.overlap = 'allow'
              and r.run_at <= coalesce($1::timestamptz, statement_timestamp())
            limit $2
        )
        union all
        (
            select 1
            from punctual.run_live r
            where r.lane = l.id and r.state = 'scheduled' and r.overlap <> 'allow'
              and r.run_at <= coalesce($1::timestamptz, statement_timestamp())
            limit $2
        )
        limit $2
    ) found
) due
cross join lateral (
    select count(*) as runs
    from (select 1 from punctual.run_live r where r.lane = l.id and r.state = 'queued' limit $2) found
) queued
