//! The usual questions stay cheap however long history is: a million runs in each test run, ten million in a full one.

use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::execute;

/// A table of more than this many pages is not to be read from end to end.
const LARGE_PAGES: i64 = 100;

/// Runs of a hundred jobs over the last 29 days, with an attempt each.
async fn fill(pool: &PgPool) -> u64 {
    let runs: u64 = if std::env::var_os("PUNCTUAL_TEST_FULL").is_some() { 10_000_000 } else { 1_000_000 };
    execute(pool, "select punctual.ensure_partitions((now() at time zone 'UTC')::date - 30, 40)").await;
    execute(
        pool,
        "insert into punctual.job (id, namespace, name, version, state, created_at, updated_at)
         select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', 'job-' || n, 1, 'paused', now(), now()
         from generate_series(0, 100) n",
    )
    .await;
    let fill = "with made as (
            select n, now() - interval '29 days' + n * (interval '29 days' / $1::float8) as at from generate_series(0, $1 - 1) n
        ), runs as (
            insert into punctual.run_history (
                id, retention, ended_at, namespace, job_id, job_version, origin, state, task_queue, kind, due_at, shard_index,
                created_at, started_at, attempts, tries_used
            )
            -- Ids of version 7, as schedulers make them.
            select encode(substring(int8send((extract(epoch from at) * 1000)::bigint) from 3) || '\\x7000'::bytea || int8send(n), 'hex')::uuid,
                   'default', at + interval '1 second', 'default',
                   -- A hundred jobs that run all the time, and one that does so once a day or two.
                   ('00000000-0000-7000-8000-' || lpad(to_hex(case when n % 50000 = 77 then 100 else n % 100 end), 12, '0'))::uuid, 1, 'schedule',
                   case when n % 50 = 0 then 'failed' else 'succeeded' end, 'default', 'work', at, 0, at, at + interval '10 ms', 1, 0
            from made
            returning id, ended_at, state, started_at
        )
        insert into punctual.attempt_history (run_id, attempt, retention, ended_at, outcome, session, worker, started_at)
        select id, 1, 'default', ended_at, state, id, 'w', started_at from runs";
    sqlx::query(fill).bind(i64::try_from(runs).unwrap()).execute(pool).await.unwrap();
    execute(pool, "vacuum analyze punctual.run_history").await;
    execute(pool, "vacuum analyze punctual.attempt_history").await;
    runs
}

/// The nodes of a plan that were executed, with what they read.
fn executed(node: &Value, found: &mut Vec<Value>) {
    if node["Actual Loops"].as_f64().unwrap_or(0.0) > 0.0 {
        found.push(node.clone());
        for child in node["Plans"].as_array().into_iter().flatten() {
            executed(child, found);
        }
    }
}

struct Plan {
    nodes: Vec<Value>,
    text: String,
}

/// Executes a statement and tells how.
async fn explain(executor: impl PgExecutor<'_>, statement: &str) -> Plan {
    let explain = format!("explain (analyze, format json) {statement}");
    let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(executor).await.unwrap();
    let mut nodes = Vec::new();
    executed(&plan[0]["Plan"], &mut nodes);
    Plan { nodes, text: format!("{statement}\n{plan:#}") }
}

impl Plan {
    /// No large table is read from end to end.
    async fn reads_no_large_table_whole(&self, pool: &PgPool) -> &Self {
        for node in self.nodes.iter().filter(|node| node["Node Type"] == "Seq Scan") {
            let table = node["Relation Name"].as_str().unwrap();
            let pages: i64 = sqlx::query_scalar(
                "select pg_relation_size(('punctual.' || quote_ident($1))::regclass) / 8192",
            )
            .bind(table)
            .fetch_one(pool)
            .await
            .unwrap();
            assert!(pages <= LARGE_PAGES, "{table} has {pages} pages and is read whole by {}", self.text);
        }
        self
    }

    /// No more rows come out of the tables than this.
    #[track_caller]
    fn reads_at_most(&self, rows: f64) -> &Self {
        let leaves = self.nodes.iter().filter(|node| node.get("Relation Name").is_some());
        let read: f64 = leaves
            .map(|node| {
                let of = |name: &str| node[name].as_f64().unwrap_or(0.0);
                of("Actual Loops")
                    * (of("Actual Rows") + of("Rows Removed by Filter") + of("Rows Removed by Index Recheck"))
            })
            .sum();
        assert!(read <= rows, "{read} rows are read by {}", self.text);
        self
    }
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_usual_questions_read_no_large_table_whole(pool: PgPool) {
    let runs = fill(&pool).await as f64;
    let history = "select * from punctual.job_history where job_id = punctual.job_id('job-7') order by run_id desc limit 20";
    explain(&pool, history).await.reads_no_large_table_whole(&pool).await.reads_at_most(1_000.0);

    let run: Uuid = sqlx::query_scalar(
        "select id from punctual.run_history where ended_at > now() - interval '3 days' limit 1",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let one = format!("select * from punctual.job_history where run_id = '{run}'");
    explain(&pool, &one).await.reads_no_large_table_whole(&pool).await.reads_at_most(200.0);

    // Of a day, with what lies around its hours in the same blocks.
    let a_day = runs / 29.0;
    let stats = "select * from punctual.job_stats where hour >= now() - interval '1 day'";
    explain(&pool, stats)
        .await
        .reads_no_large_table_whole(&pool)
        .await
        .reads_at_most(a_day * 12.0 + 50_000.0);
    let of_job = "select * from punctual.job_stats where job_id = punctual.job_id('job-7') and hour >= now() - interval '1 day'";
    explain(&pool, of_job)
        .await
        .reads_no_large_table_whole(&pool)
        .await
        .reads_at_most(a_day * 12.0 + 50_000.0);

    // What the API asks: a page of a job's runs, and the page after it.
    let ended = include_str!("../../../src/store/postgres/ended_runs.sql");
    for before in [None, Some(run)] {
        for job in ["job-7", "job-100"] {
            let plan = listing(&pool, ended, job, before).await;
            plan.reads_no_large_table_whole(&pool).await.reads_at_most(2_000.0);
        }
    }
}

/// How many jobs are due at once, each with a run under an overlap policy.
const DUE: f64 = 20_000.0;
/// How many of them an admission takes.
const TAKEN: f64 = 500.0;

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_admission_reads_what_it_takes_however_much_falls_due_before_anybody_has_counted_it(pool: PgPool) {
    // As after a quiet time: what the planner knows of the table is that it is empty.
    execute(&pool, "alter table punctual.run_live set (autovacuum_enabled = false)").await;
    execute(
        &pool,
        "insert into punctual.lane (namespace, task_queue, kind) values ('default', 'default', 'work')",
    )
    .await;
    let due = "insert into punctual.run_live (
            id, state, shard, lane, job_id, job_version, origin, overlap, due_at, run_at, created_at, start_to_close_ms, cancel_grace_ms
        )
        select gen_random_uuid(), 'scheduled', n % 64, (select id from punctual.lane), gen_random_uuid(), 1, 'schedule', 'skip',
               now(), now(), now(), 1000, 1000
        from generate_series(1, $1::integer) n";
    sqlx::query(due).bind(DUE as i32).execute(&pool).await.unwrap();
    let jobs: String = sqlx::query_scalar(
        "select array_agg(job_id)::text from (select job_id from punctual.run_live limit $1) j",
    )
    .bind(TAKEN as i64)
    .fetch_one(&pool)
    .await
    .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let admission = include_str!("../../../src/store/postgres/due_runs.sql");
    let prepare = format!(
        "prepare admission (timestamptz, integer[], bigint[], smallint[], interval, uuid[], bigint) as {admission}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let shards: Vec<_> = (0..64).map(|shard| shard.to_string()).collect();
    let asked = format!(
        "execute admission (null, '{{1}}', '{{{TAKEN}}}', '{{{}}}', '0', '{jobs}', {TAKEN})",
        shards.join(",")
    );
    for mode in ["set plan_cache_mode = force_generic_plan", "set plan_cache_mode = force_custom_plan"] {
        sqlx::raw_sql(mode).execute(&mut *connection).await.unwrap();
        // Each run is found by its job, and taken by its id.
        explain(&mut *connection, &asked).await.reads_at_most(3.0 * TAKEN);
    }
}

/// The statement of a listing with its parameters filled in, as Postgres plans it.
async fn listing(pool: &PgPool, statement: &str, job: &str, before: Option<Uuid>) -> Plan {
    let before = before.map_or("null".to_owned(), |before| format!("'{before}'"));
    // Names as sqlx wants them.
    let filled = statement
        .replace("!\"", "\"")
        .replace("$1", "null")
        .replace("$2", "'default'")
        .replace("$3", &format!("'{job}'"))
        .replace("$4", "'{}'")
        .replace("$5", &before)
        .replace("$6", "101")
        .replace("$7", "null");
    explain(pool, &filled).await
}
