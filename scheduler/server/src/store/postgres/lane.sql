-- `do update` so that an existing row is answered too; it happens once per lane and process.
insert into punctual.lane (namespace, task_queue, kind)
values ($1, $2, $3)
on conflict on constraint lane_key do update set kind = excluded.kind
returning id
