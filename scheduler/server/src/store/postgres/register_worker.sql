-- A session that is alive is described anew; one whose lease has run out is left for the reaper to end. The caller then
-- looks whether it had ended before: with this row held, nobody can end it in between.
insert into punctual.worker_lease as w (session, name, namespace, task_queue, kinds, places, registered_at, beat_at, expires_at)
values ($1, $2, $3, $4, $5, $6, coalesce($7::timestamptz, statement_timestamp()), coalesce($7::timestamptz, statement_timestamp()),
        coalesce($7::timestamptz, statement_timestamp()) + $8::interval)
on conflict (session) do update
set name = excluded.name, kinds = excluded.kinds, places = excluded.places, beat_at = excluded.beat_at,
    expires_at = excluded.expires_at
where w.expires_at > coalesce($7::timestamptz, statement_timestamp())
