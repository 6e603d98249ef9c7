with tried as (
    select a.id, a.dispatch_seq, a.node
    from unnest($1::uuid[], $2::integer[], $3::integer[]) as a (id, dispatch_seq, node)
    join punctual.run_live r on r.id = a.id
    where r.state = 'queued'
      -- The second: an earlier call did it, and its answer was lost.
      and (r.dispatch_seq = a.dispatch_seq or (r.dispatch_seq = a.dispatch_seq + 1 and r.publisher = $4))
    order by r.id
    for no key update of r skip locked
), moved as (
    update punctual.run_live r
    set node = a.node, publisher = $4, dispatch_seq = a.dispatch_seq + 1, queued_at = coalesce($5::timestamptz, statement_timestamp()),
        reap_at = least(
            coalesce($5::timestamptz, statement_timestamp()) + ($6::bigint[])[least(r.redeliveries + 1, cardinality($6::bigint[]))] * interval '1 millisecond',
            r.close_deadline,
            case when r.attempt = 0 then r.start_deadline end
        )
    from tried a
    where r.id = a.id and r.state = 'queued'
    returning r.id, r.dispatch_seq, r.node, r.lane, r.job_id, r.run_at
)
select a.id, a.dispatch_seq, a.node as "node!", a.run_at, l.namespace, l.task_queue, l.kind, coalesce(j.name, '') as "job!"
from moved a
join punctual.lane l on l.id = a.lane
left join punctual.job j on j.id = a.job_id
order by a.run_at, a.id
