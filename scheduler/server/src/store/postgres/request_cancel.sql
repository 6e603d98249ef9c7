update punctual.run_live
set cancel_requested_at = coalesce(cancel_requested_at, $3::timestamptz), cancel_reason = case when cancel_requested_at is null then $2 else cancel_reason end,
    reap_at = least(reap_at, $3::timestamptz + cancel_grace_ms * interval '1 millisecond' + $4::interval)
where id = $1 and state = 'running'
