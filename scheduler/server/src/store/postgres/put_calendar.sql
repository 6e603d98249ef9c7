insert into punctual.calendar (namespace, name, revision, spec, created_at, updated_at)
values ($1, $2, nextval('punctual.calendar_revision'), $3, coalesce($4::timestamptz, statement_timestamp()),
        coalesce($4, statement_timestamp()))
on conflict on constraint calendar_key do update
set spec = excluded.spec, revision = excluded.revision, updated_at = excluded.updated_at
