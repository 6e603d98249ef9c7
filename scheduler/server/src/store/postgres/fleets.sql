select namespace, task_queue, sum(places)::bigint as "places!",
       (select array_agg(distinct k) from punctual.worker_lease w2, unnest(w2.kinds) k
        where w2.namespace = w.namespace and w2.task_queue = w.task_queue
          and not w2.draining and w2.expires_at > coalesce($1::timestamptz, statement_timestamp())) as "kinds!"
from punctual.worker_lease w
where not draining and expires_at > coalesce($1::timestamptz, statement_timestamp())
group by namespace, task_queue
