//! The interface describes itself, and lets in whom it is meant for.

use sqlx::PgPool;

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn every_view_column_and_public_function_is_described(pool: PgPool) {
    let views: Vec<String> =
        sqlx::query_scalar("select viewname::text from pg_views where schemaname = 'punctual' order by 1")
            .fetch_all(&pool)
            .await
            .unwrap();
    for view in [
        "blocked",
        "dead_letters",
        "job_events",
        "job_history",
        "job_stats",
        "live_workers",
        "missed",
        "overdue",
        "schedule_lag",
        "upcoming",
    ] {
        assert!(views.iter().any(|found| found == view), "{view} is not among {views:?}");
    }
    let undescribed: Vec<String> = sqlx::query_scalar(
        "select c.relname || '.' || coalesce(a.attname, '')
         from pg_class c
         join lateral (select null::name as attname, 0 as attnum
                       union all
                       select attname, attnum from pg_attribute where attrelid = c.oid and attnum > 0) a on true
         where c.relnamespace = 'punctual'::regnamespace and c.relkind = 'v' and col_description(c.oid, a.attnum) is null
           and (a.attnum > 0 or obj_description(c.oid, 'pg_class') is null)
         union all
         select p.oid::regprocedure::text
         from pg_proc p
         where p.pronamespace = 'punctual'::regnamespace and has_function_privilege('punctual_client', p.oid, 'execute')
           and obj_description(p.oid, 'pg_proc') is null",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(undescribed, [] as [String; 0], "without a comment");
}

/// What a role may do, by the kind of thing.
async fn allowed(pool: &PgPool, role: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select kind || ' ' || name from (
            select case c.relkind when 'v' then 'view' else 'table' end as kind, c.relname::text as name
            from pg_class c
            where c.relnamespace = 'punctual'::regnamespace and c.relkind in ('v', 'r', 'p')
              and (has_table_privilege($1, c.oid, 'select') or has_table_privilege($1, c.oid, 'insert')
                or has_table_privilege($1, c.oid, 'update') or has_table_privilege($1, c.oid, 'delete'))
            union all
            select 'function', p.proname
            from pg_proc p
            where p.pronamespace = 'punctual'::regnamespace and has_function_privilege($1, p.oid, 'execute')
         ) allowed
         where kind <> 'view'
         order by 1",
    )
    .bind(role)
    .fetch_all(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_reader_reads_views_and_the_client_calls_functions_and_neither_touches_a_table(pool: PgPool) {
    assert_eq!(allowed(&pool, "punctual_reader").await, ["function job_id"]);
    let client = ["function cancel", "function enqueue", "function finish", "function job_id"];
    assert_eq!(allowed(&pool, "punctual_client").await, client);
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("set role punctual_reader").execute(&mut *connection).await.unwrap();
    let views: Vec<String> =
        sqlx::query_scalar("select viewname::text from pg_views where schemaname = 'punctual'")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    for view in views {
        let statement = format!("select * from punctual.{view} limit 1");
        let read = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *connection).await;
        read.unwrap_or_else(|error| panic!("{view}: {error}"));
    }
    sqlx::query("reset role").execute(&mut *connection).await.unwrap();
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn other_roles_are_let_in_by_the_owner(pool: PgPool) {
    // Roles are of the whole server: made and gone within one transaction, so that nothing is left of them.
    let mut tx = pool.begin().await.unwrap();
    for statement in [
        "create role punctual_test_analyst",
        "create role punctual_test_app",
        "select punctual.grant_access('punctual_test_analyst', 'punctual_test_app')",
        "set local role punctual_test_app",
        "select punctual.enqueue('mail')",
        "set local role punctual_test_analyst",
        "select * from punctual.upcoming",
    ] {
        sqlx::query(statement).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let refused = sqlx::query("select punctual.enqueue('mail')").execute(&mut *tx).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"));
    tx.rollback().await.unwrap();
}
