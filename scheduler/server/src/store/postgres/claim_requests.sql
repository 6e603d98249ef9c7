insert into punctual.run_request (namespace, request_id, run_id, job_id)
select * from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[])
on conflict on constraint run_request_key do nothing
