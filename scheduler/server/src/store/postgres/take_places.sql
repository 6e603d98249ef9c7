insert into punctual.concurrency_place (key_path, place, run_id)
select r.key_path, t.place, r.id
from unnest($1::uuid[], $2::integer[]) as t (run_id, place)
join punctual.run_live r on r.id = t.run_id
order by r.key_path, t.place
