//! Flags that say where the node stands.

use clap::{Args, ValueEnum};

use crate::channel::Nearness;

/// Where the node stands, and what is made of it.
#[derive(Debug, Clone, Args)]
pub struct TopologyOptions {
    /// The region the node stands in, for clients and lookups to see
    #[arg(long, env = "PUNCTUAL_QUEUE_TOPOLOGY_REGION", value_name = "NAME", default_value = "")]
    pub topology_region: String,

    /// The zone within the region
    #[arg(long, env = "PUNCTUAL_QUEUE_TOPOLOGY_ZONE", value_name = "NAME", default_value = "")]
    pub topology_zone: String,

    /// Something of nsqd's that must be asked for; may be repeated
    #[arg(
        long = "enable-experiment",
        env = "PUNCTUAL_QUEUE_ENABLE_EXPERIMENT",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub experiments: Vec<Experiment>,
}

/// What must be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    /// A message goes to a consumer in the node's zone if one wants it, else to one in its region if one wants it.
    TopologyAwareConsumption,
}

impl TopologyOptions {
    /// How near a client is that says it stands there.
    pub(crate) fn nearness(&self, region: &str, zone: &str) -> Nearness {
        let is_ours = |ours: &str, theirs: &str| !ours.is_empty() && ours == theirs;
        if !self.experiments.contains(&Experiment::TopologyAwareConsumption) {
            Nearness::Elsewhere
        } else if is_ours(&self.topology_zone, zone) {
            Nearness::Zone
        } else if is_ours(&self.topology_region, region) {
            Nearness::Region
        } else {
            Nearness::Elsewhere
        }
    }
}
