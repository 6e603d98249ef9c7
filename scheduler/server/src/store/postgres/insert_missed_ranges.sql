insert into punctual.missed_range (job_id, from_at, to_at, instants, reason, recorded_at)
select m.job_id, m.from_at, m.to_at, m.instants, m.reason, $6
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[]) as m (job_id, from_at, to_at, instants, reason)
