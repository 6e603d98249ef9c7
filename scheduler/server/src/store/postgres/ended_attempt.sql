-- Whether this very attempt is on record, for a report that is repeated.
select run_id, attempt, outcome, session from punctual.attempt_history
where (run_id, attempt) in (select * from unnest($1::uuid[], $2::integer[]))
