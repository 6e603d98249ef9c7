-- The end of an attempt that is not the end of its run.
with ending as (
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::integer[],
        $11::boolean[]
    ) as e (id, from_state, attempt, delay_ms, error, error_kind, output_tail, outcome, tries_used, unanswered)
), before as (
    -- Read before the update, which clears what the history needs.
    select r.id, r.attempt, r.session, r.worker, r.started_at, coalesce(j.keep_failure, n.keep_failure, 'default') as retention
    from punctual.run_live r
    join punctual.lane l on l.id = r.lane
    join punctual.namespace n on n.name = l.namespace
    left join punctual.job j on j.id = r.job_id
    join ending e on r.id = e.id and r.state = e.from_state and r.attempt = e.attempt
), moved as (
    update punctual.run_live r
    set state = 'scheduled', -- Without a delay it keeps its place in the order of what is due.
        run_at = case when e.delay_ms = 0 then r.run_at
                      else greatest(r.run_at, $10::timestamptz + e.delay_ms * interval '1 millisecond') end,
        redeliveries = case when e.from_state = 'running' then 0 when e.unanswered then r.redeliveries + 1 else r.redeliveries end,
        tries_used = e.tries_used, node = null, publisher = null, session = null,
        error = coalesce(nullif(e.error, ''), r.error),
        reap_at = least(r.close_deadline, case when r.attempt = 0 then r.start_deadline end)
    from ending e
    where r.id = e.id and r.state = e.from_state and r.attempt = e.attempt
    returning r.id, e.outcome, e.error, e.error_kind, e.output_tail
)
insert into punctual.attempt_history (
    run_id, attempt, retention, ended_at, outcome, session, worker, started_at, error, error_kind, output_tail
)
select b.id, b.attempt, b.retention, $10, m.outcome, b.session, b.worker, b.started_at, m.error, m.error_kind, m.output_tail
from moved m
join before b on b.id = m.id
where m.outcome is not null
