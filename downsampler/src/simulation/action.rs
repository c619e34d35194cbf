//! What can happen to the world.

use std::time::Duration;

use proptest::prelude::*;

use crate::{Bounds, Config, Retention};

pub(super) const NODES: u16 = 3;
pub(super) const PARTITIONS: u32 = 2;
pub(super) const DOWNSAMPLERS: usize = 3;
pub(super) const ENVIRONMENTS: usize = 3;

/// What can happen.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Time passes everywhere.
    Pass { seconds: i64 },
    /// A node takes a count. Negative ages lie ahead of the node's clock.
    Count { node: u16, environment: usize, series: usize, age_seconds: i64, count: u64 },
    /// A node seals what it has, and keeps it until it is delivered.
    Seal { node: u16 },
    /// The next records of a node get through to a partition, and ingest writes them.
    Deliver { node: u16, partition: u32, records: usize },
    /// Ingest reads records once more, from `back` before the end of what was delivered.
    Repeat { back: usize, records: usize },
    /// A second of good order: all running nodes seal and deliver, and every downsampler runs one cycle.
    Flow,
    /// A node stops in good order.
    Farewell { node: u16 },
    /// A node falls silent; what it holds stays on its disk.
    Silence { node: u16 },
    /// A node starts, for the first time or again.
    Start { node: u16 },
    /// A node's clock is set off by so much.
    SkewNode { node: u16, seconds: i64 },
    /// A downsampler's clock is set off by so much.
    SkewDownsampler { downsampler: usize, seconds: i64 },
    /// Everyone's clock jumps.
    Jump { seconds: i64 },
    /// A downsampler makes some calls, beginning a cycle where none is on its way; its halves take turns.
    Turn { downsampler: usize, turns: usize },
    /// The half of a downsampler that closes makes some calls, wherever the other half is.
    Close { downsampler: usize, turns: usize },
    /// A downsampler dies wherever it is, and another takes its place.
    Crash { downsampler: usize },
}

impl Action {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let node = 0..NODES;
        let downsampler = 0..DOWNSAMPLERS;
        let age = prop_oneof![6 => 0..30_i64, 2 => 30..1_200_i64, 2 => 1_200..14_000_i64, 1 => -120..0_i64];
        let skew = prop_oneof![2 => Just(0_i64), 1 => -60..60_i64, 1 => -7_200..7_200_i64];
        prop_oneof![
            8 => prop_oneof![6 => 1..70_i64, 1 => 300..3_000_i64].prop_map(|seconds| Self::Pass { seconds }),
            12 => (node.clone(), 0..ENVIRONMENTS, 0..3_usize, age, 1..100_u64).prop_map(
                |(node, environment, series, age_seconds, count)| {
                    Self::Count { node, environment, series, age_seconds, count }
                }
            ),
            4 => node.clone().prop_map(|node| Self::Seal { node }),
            6 => (node.clone(), 0..PARTITIONS, 1..4_usize)
                .prop_map(|(node, partition, records)| Self::Deliver { node, partition, records }),
            2 => (0..20_usize, 1..6_usize).prop_map(|(back, records)| Self::Repeat { back, records }),
            5 => Just(Self::Flow),
            1 => node.clone().prop_map(|node| Self::Farewell { node }),
            1 => node.clone().prop_map(|node| Self::Silence { node }),
            2 => node.clone().prop_map(|node| Self::Start { node }),
            1 => (node, skew.clone()).prop_map(|(node, seconds)| Self::SkewNode { node, seconds }),
            1 => (downsampler.clone(), skew)
                .prop_map(|(downsampler, seconds)| Self::SkewDownsampler { downsampler, seconds }),
            1 => (-10_000..10_000_i64).prop_map(|seconds| Self::Jump { seconds }),
            14 => (downsampler.clone(), 1..9_usize)
                .prop_map(|(downsampler, turns)| Self::Turn { downsampler, turns }),
            4 => (downsampler.clone(), 1..9_usize)
                .prop_map(|(downsampler, turns)| Self::Close { downsampler, turns }),
            2 => downsampler.prop_map(|downsampler| Self::Crash { downsampler }),
        ]
    }
}

impl Action {
    /// What matters when several downsamplers race: little time, late data in a few windows, and many single
    /// calls.
    pub(super) fn race() -> impl Strategy<Value = Vec<Self>> {
        let downsampler = 0..DOWNSAMPLERS;
        let late = (prop::sample::select(vec![1_i64, 2, 16, 70, 130]), 0..2_usize).prop_map(
            |(minutes, environment)| {
                let count =
                    Self::Count { node: 0, environment, series: 0, age_seconds: minutes * 60, count: 1 };
                let deliver = |partition| Self::Deliver { node: 0, partition, records: usize::MAX };
                vec![count, Self::Seal { node: 0 }, deliver(0), deliver(1)]
            },
        );
        prop_oneof![
            4 => late,
            1 => prop::sample::select(vec![10_i64, 60, 900, 3_600]).prop_map(|seconds| vec![Self::Pass { seconds }]),
            8 => (downsampler.clone(), 1..4_usize)
                .prop_map(|(downsampler, turns)| vec![Self::Turn { downsampler, turns }]),
            3 => (downsampler.clone(), 1..4_usize)
                .prop_map(|(downsampler, turns)| vec![Self::Close { downsampler, turns }]),
            1 => downsampler.prop_map(|downsampler| vec![Self::Crash { downsampler }]),
        ]
    }
}

/// Retention so short that only what is not yet needed any more keeps data from being deleted.
pub(super) fn hasty() -> Config {
    let minutes = |minutes: u64| Some(Duration::from_mins(minutes));
    let retention = Retention { raw: minutes(1), minute: minutes(2), quarter: minutes(3) };
    Config { retention, ..config() }
}

/// Small pieces and short retention, so that every bound is met.
pub(super) fn config() -> Config {
    let hours = |hours: u64| Some(Duration::from_hours(hours));
    Config {
        retention: Retention { raw: hours(3), minute: hours(5), quarter: hours(8) },
        grace: Duration::from_mins(5),
        bounds: Bounds { minutes: 7, quarters: 3, hours: 2, dirty: 2, closings: 2 },
        ..Config::default()
    }
}
