-- Milliseconds by which the oldest cursor is behind: one probe of its index.
select (extract(epoch from greatest(coalesce($1::timestamptz, statement_timestamp()) - min(next_due_at), interval '0'))
        * 1000)::bigint as "lag_ms?"
from punctual.job_cursor
where next_due_at is not null
