-- `queued` is written before the message goes out: a message without a row is impossible, a row without a message
-- is found by the reaper. How long it waits for that goes by how often it was redelivered.
with admitted as (
    update punctual.run_live r
    set state = 'queued', node = a.node, publisher = $4, dispatch_seq = r.dispatch_seq + 1, queued_at = $5::timestamptz,
        reap_at = least(
            $5::timestamptz + ($3::bigint[])[least(r.redeliveries + 1, cardinality($3::bigint[]))] * interval '1 millisecond',
            r.close_deadline,
            case when r.attempt = 0 then r.start_deadline end
        )
    from unnest($1::uuid[], $2::integer[]) as a (id, node)
    where r.id = a.id and r.state = 'scheduled'
    returning r.id, r.dispatch_seq, r.node, r.lane, r.job_id, r.run_at
)
select a.id, a.dispatch_seq, a.node as "node!", a.run_at, l.namespace, l.task_queue, l.kind, coalesce(j.name, '') as "job!"
from admitted a
join punctual.lane l on l.id = a.lane
left join punctual.job j on j.id = a.job_id
order by a.run_at, a.id
