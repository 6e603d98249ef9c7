//! What the node is set to, under the names and in the forms of nsqd: durations in nanoseconds, texts as they are, and
//! all else as JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use punctual_queue_log::options::LogOptions;
use punctual_service::log;
use serde_json::json;
use tracing::level_filters::LevelFilter;

use super::LOOKUPS;
use crate::http::Served;
use crate::http::answer::Answer;
use crate::options::{AuthMethod, ClientAuthPolicy, Experiment, TlsRequired};

impl Served {
    /// The option's value; `None` if nsqd has no such option.
    pub(super) fn value(&self, option: &str) -> Option<Answer> {
        self.of_the_process(option)
            .or_else(|| self.of_addresses(option))
            .or_else(|| self.of_messages(option))
            .or_else(|| self.of_clients(option))
            .or_else(|| self.of_security(option))
            .or_else(|| self.of_statistics(option))
            .or_else(|| foreign(option))
    }

    fn of_the_process(&self, option: &str) -> Option<Answer> {
        let context = &self.shared.context;
        Some(match option {
            // nsqd's is a number below 1024.
            "id" => number((context.node_id.as_u128() % 1024) as u64),
            "log_level" => number(nsqds_level(log::level())),
            "log_prefix" => text(log::prefix()),
            "data_path" => text(context.options.data_path.display()),
            "mem_queue_size" => number(context.options.mem_queue_size),
            // Everything goes to the disk, and is synced before it is acknowledged.
            "max_bytes_per_file" => number(u64::from(LogOptions::default().max_segment_bytes)),
            "sync_every" => number(1),
            "sync_timeout" => nanoseconds(Duration::ZERO),
            _ => return None,
        })
    }

    fn of_addresses(&self, option: &str) -> Option<Answer> {
        let context = &self.shared.context;
        let (options, peer) = (&context.options, &self.advertised.0);
        Some(match option {
            "tcp_address" => text(&options.tcp_address),
            "http_address" => text(&options.http_address),
            "broadcast_address" => text(&peer.broadcast_address),
            "broadcast_tcp_port" => number(peer.tcp_port.into()),
            "broadcast_http_port" => number(peer.http_port.into()),
            "topology_region" => text(&peer.topology_region),
            "topology_zone" => text(&peer.topology_zone),
            "enable_experiment" => Answer::Json(json!(names_of(&options.topology.experiments))),
            LOOKUPS => Answer::Json(json!(*context.lookups().borrow())),
            _ => return None,
        })
    }

    fn of_messages(&self, option: &str) -> Option<Answer> {
        let context = &self.shared.context;
        let options = &context.options;
        Some(match option {
            "msg_timeout" => nanoseconds(options.msg_timeout),
            "max_msg_timeout" => nanoseconds(options.max_msg_timeout),
            "max_msg_size" => number(options.max_msg_size.into()),
            "max_body_size" => number(options.max_body_size.into()),
            "max_req_timeout" => nanoseconds(options.max_req_timeout),
            "max_defer_timeout" => nanoseconds(context.limits.max_publish_delay),
            "max_channel_consumers" => number(options.max_channel_consumers as u64),
            _ => return None,
        })
    }

    fn of_clients(&self, option: &str) -> Option<Answer> {
        let limits = &self.shared.context.identify_limits;
        Some(match option {
            "max_rdy_count" => number(self.shared.context.options.max_rdy_count.into()),
            "max_heartbeat_interval" => nanoseconds(limits.max_heartbeat_interval),
            "max_output_buffer_size" => number(limits.max_output_buffer_bytes.into()),
            "max_output_buffer_timeout" => nanoseconds(limits.max_output_buffer_timeout),
            "min_output_buffer_timeout" => nanoseconds(limits.min_output_buffer_timeout),
            "output_buffer_timeout" => nanoseconds(limits.output_buffer_timeout),
            "max_deflate_level" => number(limits.max_deflate_level.into()),
            _ => return None,
        })
    }

    fn of_security(&self, option: &str) -> Option<Answer> {
        let options = &self.shared.context.options;
        let (tls, auth, compression) = (&options.tls, &options.auth, &options.compression);
        let path = |path: &Option<PathBuf>| text(path.as_deref().unwrap_or(Path::new("")).display());
        Some(match option {
            "https_address" => text(tls.https_address),
            "tls_cert" => path(&tls.identity.tls_cert),
            "tls_key" => path(&tls.identity.tls_key),
            "tls_root_ca_file" => path(&tls.tls_root_ca_file),
            "tls_client_auth_policy" => text(match tls.tls_client_auth_policy {
                None => "",
                Some(ClientAuthPolicy::Require) => "require",
                Some(ClientAuthPolicy::RequireVerify) => "require-verify",
            }),
            "tls_required" => number(match tls.required() {
                TlsRequired::False => 0,
                TlsRequired::TcpHttps => 1,
                TlsRequired::True => 2,
            }),
            "tls_min_version" => number(tls.tls_min_version.number().into()),
            "deflate" => Answer::Json(json!(compression.deflate)),
            "snappy" => Answer::Json(json!(compression.snappy)),
            "auth_http_addresses" => Answer::Json(json!(auth.auth_http_addresses)),
            "auth_http_request_method" => text(match auth.auth_http_request_method {
                AuthMethod::Get => "get",
                AuthMethod::Post => "post",
            }),
            "http_client_connect_timeout" => nanoseconds(auth.http_client_connect_timeout),
            "http_client_request_timeout" => nanoseconds(auth.http_client_request_timeout),
            _ => return None,
        })
    }

    fn of_statistics(&self, option: &str) -> Option<Answer> {
        let options = &self.shared.context.options;
        let (statsd, latency, peer) = (&options.statsd, &options.latency, &self.advertised.0);
        Some(match option {
            "statsd_address" => text(statsd.statsd_address.as_deref().unwrap_or_default()),
            "statsd_prefix" => text(statsd.prefix_for(&peer.broadcast_address, peer.http_port)),
            "statsd_interval" => nanoseconds(statsd.statsd_interval),
            "statsd_mem_stats" => Answer::Json(json!(statsd.statsd_mem_stats)),
            "statsd_udp_packet_size" => number(statsd.statsd_udp_packet_size.into()),
            "statsd_exclude_ephemeral" => Answer::Json(json!(statsd.statsd_exclude_ephemeral)),
            "e2e_processing_latency_window_time" => nanoseconds(latency.e2e_processing_latency_window_time),
            "e2e_processing_latency_percentiles" => Answer::Json(json!(latency.percentiles())),
            _ => return None,
        })
    }
}

/// What nsqd can be set to and this node cannot, as it is here.
fn foreign(option: &str) -> Option<Answer> {
    Some(match option {
        // Nothing is scanned for what is due: every channel knows when it is wanted next.
        "queue_scan_selection_count" | "queue_scan_worker_pool_max" => number(0),
        _ => return None,
    })
}

/// As the flag takes them.
fn names_of(experiments: &[Experiment]) -> Vec<String> {
    let values = experiments.iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

/// From debug, 1, to fatal, 5.
fn nsqds_level(level: LevelFilter) -> u64 {
    match level {
        LevelFilter::TRACE | LevelFilter::DEBUG => 1,
        LevelFilter::INFO => 2,
        LevelFilter::WARN => 3,
        LevelFilter::ERROR => 4,
        _ => 5,
    }
}

fn text(value: impl ToString) -> Answer {
    Answer::Text(value.to_string())
}

fn number(value: u64) -> Answer {
    Answer::Json(json!(value))
}

fn nanoseconds(duration: Duration) -> Answer {
    number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}
