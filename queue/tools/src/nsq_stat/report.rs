use std::time::Duration;

use super::ChannelStats;

/// What stands above the rows.
pub(super) const HEADER: &str = "\
------rate------+----------------depth----------------+--------------metadata---------------
ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients";

/// What happened since `before`, an interval ago, and how things are now.
pub(super) fn row(now: &ChannelStats, before: &ChannelStats, interval: Duration) -> String {
    let per_second = |count: i64| (count as f64 / interval.as_secs_f64()) as i64;
    let came = now.message_count - before.message_count;
    let went = came - (now.depth - before.depth);
    format!(
        "{:7} {:7} | {:7} {:7} {:7} {:5} {:5} | {:7} {:7} {:12} {:7}",
        per_second(came),
        per_second(went),
        now.depth,
        now.depth - now.backend_depth,
        now.backend_depth,
        now.in_flight_count,
        now.deferred_count,
        now.requeue_count,
        now.timeout_count,
        now.message_count,
        now.client_count,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_columns_of_its_header() {
        let before = ChannelStats { depth: 10, message_count: 100, ..ChannelStats::default() };
        let now = ChannelStats {
            depth: 4,
            backend_depth: 1,
            in_flight_count: 2,
            deferred_count: 3,
            message_count: 200,
            requeue_count: 5,
            timeout_count: 6,
            client_count: 7,
        };
        let row = row(&now, &before, Duration::from_secs(2));
        assert_eq!(
            row,
            "     50      53 |       4       3       1     2     3 |       5       6          200       7"
        );
        let bars = |line: &str| line.match_indices(['|', '+']).map(|(at, _)| at).collect::<Vec<_>>();
        assert!(HEADER.lines().all(|line| bars(line) == bars(&row) && line.len() == row.len()));
    }
}
