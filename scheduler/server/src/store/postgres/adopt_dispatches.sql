-- What a replica queued in its last seconds may never have been sent. Locked in id order, as everywhere.
with found as (
    select id from punctual.run_live
    where state = 'queued' and publisher = $2 and queued_at >= $3
    order by id
    limit $4
    for no key update skip locked
), adopted as (
    update punctual.run_live r
    set publisher = $1
    from found
    where r.id = found.id and r.state = 'queued' and r.publisher = $2
    returning r.id, r.dispatch_seq, r.node, r.lane, r.job_id, r.run_at
)
select a.id, a.dispatch_seq, a.node as "node!", a.run_at, l.namespace, l.task_queue, l.kind, coalesce(j.name, '') as "job!"
from adopted a
join punctual.lane l on l.id = a.lane
left join punctual.job j on j.id = a.job_id
order by a.run_at, a.id
