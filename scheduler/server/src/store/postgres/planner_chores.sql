-- Whether there is anything to be done before planning: mostly there is not, and this is asked before every batch.
select exists (
           select from punctual.job
           where paused_until <= coalesce($1::timestamptz, statement_timestamp()) and state = 'paused'
       ) as "pauses!",
       exists (select from punctual.run_end) as "run_ends!"
