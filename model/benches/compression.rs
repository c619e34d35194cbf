//! `cargo bench -p flagmeter-model --bench compression`: what batches take on the log, plain and compressed.
//!
//! Batches as edges seal them once a second: customers with some environments, each with the flags that were evaluated in
//! that second by a few SDKs, with counts that few flags have most of.
#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{collections::BTreeSet, time::Instant};

use flagmeter_model::{
    Batch, ContentEncoding, Environment, EnvironmentCounts, Meter, Name, NodeId, Seq, SeriesKey, Slot,
    SlotCounts, Timestamp, compress, decode, encode,
};

const ROUNDS: u32 = 200;

/// The same numbers each time: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Few large ones, many small ones.
    fn skewed(&mut self) -> u64 {
        let size = self.below(14);
        1 + self.below(1 << size)
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

const AREAS: [&str; 12] = [
    "checkout",
    "search",
    "onboarding",
    "billing",
    "profile",
    "navigation",
    "recommendations",
    "notifications",
    "cart",
    "pricing",
    "support-chat",
    "media-player",
];
const THINGS: [&str; 12] = [
    "new-layout",
    "v2",
    "dark-mode",
    "experiment",
    "kill-switch",
    "beta",
    "lazy-loading",
    "one-click",
    "rollout",
    "cache",
    "inline-editing",
    "summary",
];
const VARIANTS: [&str; 5] = ["on", "off", "control", "treatment-a", "treatment-b"];
const SDKS: [&str; 4] = [
    "flagsmith-js-sdk/9.1.0",
    "flagsmith-python-sdk/4.0.1",
    "flagsmith-java-client/7.4.3",
    "flagsmith-go-client/4.2.0",
];

/// What became of counts is counted as well, once for each environment.
fn fates() -> impl Iterator<Item = SeriesKey> {
    [SeriesKey { meter: Meter::Received, name: name("flagsmith_v2"), variant: None, sdk: None }].into_iter()
}

fn environment(dice: &mut Dice, number: u64, flags: u64) -> EnvironmentCounts {
    let customer =
        format!("{}-{number:03}", dice.one_of(&["acme", "globex", "initech", "hooli", "umbrella"]));
    let environment = Environment {
        customer: name(&customer),
        project: name(dice.one_of(&["web", "mobile-app", "backoffice"])),
        environment: name(dice.one_of(&["production", "staging"])),
    };
    let sdk = dice.one_of(&SDKS);
    let flag = |dice: &mut Dice| {
        let (area, thing) = (dice.one_of(&AREAS), dice.one_of(&THINGS));
        SeriesKey {
            meter: Meter::Evaluations,
            name: name(&format!("{area}-{thing}-{}", dice.below(8))),
            variant: Some(name(dice.one_of(&VARIANTS))),
            sdk: Some(name(sdk)),
        }
    };
    let series: BTreeSet<SeriesKey> = (0..flags).map(|_| flag(dice)).chain(fates()).collect();
    let slot = Slot::containing(Timestamp::from_seconds_clamped(1_795_000_000));
    let counts = SlotCounts {
        slot,
        series: (0..u32::try_from(series.len()).unwrap()).collect(),
        counts: series.iter().map(|_| dice.skewed()).collect(),
    };
    EnvironmentCounts { environment, series: series.into_iter().collect(), slots: vec![counts] }
}

fn batch(environments: u64, flags: u64) -> Batch {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut environments: Vec<_> =
        (0..environments).map(|number| environment(&mut dice, number, flags)).collect();
    environments.sort_by(|a, b| a.environment.cmp(&b.environment));
    let at = Timestamp::from_seconds_clamped(1_795_000_000);
    Batch {
        node: NodeId::new(3).unwrap(),
        seq: Seq::new(1_795_000_000),
        part: 0,
        sealed_at: at,
        covers_from: at.plus_seconds(-1),
        watermark: Some(at),
        farewell: false,
        region: Some(name("eu-west")),
        environments,
    }
}

fn main() {
    println!(
        "{:<34}{:>8}{:>10}{:>10}{:>9}{:>11}{:>11}",
        "batch", "", "plain", "written", "smaller", "compress", "decode"
    );
    for (environments, flags) in [(1, 10), (1, 100), (1, 1_000), (10, 30), (50, 60), (200, 40)] {
        let batch = batch(environments, flags);
        let plain = encode(&batch, ContentEncoding::Identity).unwrap();
        for encoding in ContentEncoding::ALL {
            let encoded = compress(plain.clone(), encoding).unwrap();
            let started = Instant::now();
            for _ in 0..ROUNDS {
                std::hint::black_box(compress(std::hint::black_box(plain.clone()), encoding).unwrap());
            }
            let compressing = started.elapsed() / ROUNDS;
            let started = Instant::now();
            for _ in 0..ROUNDS {
                std::hint::black_box(decode(std::hint::black_box(&encoded)).unwrap());
            }
            let decoding = started.elapsed() / ROUNDS;
            println!(
                "{:<34}{:>8}{:>10}{:>10}{:>8.1}%{:>8} µs{:>8} µs",
                format!("{environments} environments of {flags} series"),
                encoding.name(),
                plain.len(),
                encoded.len(),
                100.0 - 100.0 * encoded.len() as f64 / plain.len() as f64,
                compressing.as_micros(),
                decoding.as_micros(),
            );
        }
    }
}
