-- A statement that hangs must not hold a scheduler up for ever; nothing here takes nearly as long when all is well.
do $$
begin
    -- Of two that set them for the first time at once, Postgres would refuse one.
    perform pg_advisory_xact_lock(7031, 2);
    execute format('alter role %I in database %I set statement_timeout = ''30s''', current_user, current_database());
    execute format('alter role %I in database %I set lock_timeout = ''5s''', current_user, current_database());
    execute format('alter role %I in database %I set idle_in_transaction_session_timeout = ''30s''', current_user, current_database());
end
$$
