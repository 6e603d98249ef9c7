-- Paused again, it keeps its first instant; the later reason says more.
insert into punctual.task_queue as q (namespace, name, paused_at, pause_reason)
values ($1, $2, coalesce($4::timestamptz, statement_timestamp()), $3)
on conflict on constraint task_queue_key do update
set paused_at = coalesce(q.paused_at, excluded.paused_at), pause_reason = excluded.pause_reason
