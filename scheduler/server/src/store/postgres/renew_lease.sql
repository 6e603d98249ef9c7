insert into punctual.scheduler_lease (replica, name, started_at, expires_at)
values ($1, $2, coalesce($3::timestamptz, statement_timestamp()), coalesce($3::timestamptz, statement_timestamp()) + $4::interval)
on conflict (replica) do update set expires_at = excluded.expires_at
