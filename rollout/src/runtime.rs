//! The definition in use, and what it decides of flagmeter's own flags.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use flagmeter_model::Clock;
use parking_lot::RwLock;
use prometheus::Registry;
use serde_json::Value;

use crate::{
    CATALOGUE, Compression, Context, Definition, ErrorCode, Evaluation, Exposure, Failure, Notice, OwnFlag,
    Reason, Result,
    catalogue::{BURST_DETECTION, LOG_COMPRESSION, LOG_SAMPLING},
    exposures::Exposures,
    metrics::Metrics,
};

/// Flagmeter's own flags, as they are now.
#[derive(Debug)]
pub struct RuntimeFlags {
    /// What this process is: the attribute `process`, and the targeting key of what is not about a customer.
    process: &'static str,
    definition: RwLock<Arc<Definition>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    exposures: Exposures,
    exposing: AtomicBool,
}

/// What came of a definition that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Flagmeter's own flags of which the definition is another now.
    pub changed: Vec<&'static str>,
    /// What whoever looks after them should know.
    pub notices: Vec<(&'static str, Notice)>,
    /// Flags of others, which are left alone.
    pub others: usize,
}

/// What was decided.
struct Decision {
    /// The value by its name in the catalogue.
    name: &'static str,
    /// The value; `None` for the safe default.
    value: Option<Value>,
}

impl RuntimeFlags {
    /// All at their safe defaults.
    pub fn new(process: &'static str, clock: Arc<dyn Clock>, registry: &Registry) -> Result<Self> {
        Ok(Self {
            process,
            definition: RwLock::default(),
            clock,
            metrics: Metrics::register(registry)?,
            exposures: Exposures::default(),
            exposing: AtomicBool::new(false),
        })
    }

    /// Takes a definition, whole or not at all. What is wrong with one flag of it is noticed.
    pub fn take(&self, text: &str) -> Result<Taken> {
        let definition = Definition::parse(text).inspect_err(|_| self.source_failed())?;
        let definition = Arc::new(definition);
        let before = std::mem::replace(&mut *self.definition.write(), Arc::clone(&definition));
        let now = self.clock.now();
        let is_other = |flag: &&OwnFlag| before.flag(flag.key) != definition.flag(flag.key);
        let changed: Vec<&'static str> =
            CATALOGUE.into_iter().filter(is_other).map(|flag| flag.key).collect();
        for flag in &changed {
            self.metrics.changed(flag, now);
        }
        self.metrics.loads.inc();
        self.metrics.good.set(1);
        self.metrics.loaded_at.set(now.as_seconds());
        let notices = self.notices();
        let own = CATALOGUE.into_iter().filter(|flag| definition.flag(flag.key).is_some()).count();
        Ok(Taken { changed, notices, others: definition.flags().count() - own })
    }

    /// Goes on with a definition that was good before this process started, without telling: what the source has is
    /// compared with it, so that a restart is no change.
    pub fn resume(&self, text: &str) -> Result<()> {
        *self.definition.write() = Arc::new(Definition::parse(text)?);
        Ok(())
    }

    /// Notes that the source has nothing that can be used: what is in use goes on.
    pub fn source_failed(&self) {
        self.metrics.refused.inc();
        self.metrics.good.set(0);
    }

    /// What whoever looks after flagmeter's own flags of the definition in use should know, today.
    pub fn notices(&self) -> Vec<(&'static str, Notice)> {
        let (definition, today) = (self.definition(), self.clock.now().to_chrono().date_naive());
        let of = |own: &'static OwnFlag| {
            let flag = definition.flag(own.key)?;
            let wrong = flag.variants().find(|(_, value)| !own.fits(value)).map(|(variant, value)| {
                Notice::Broken(format!(
                    "its variant {variant:?} is {value}, and takes {}",
                    own.takes.described()
                ))
            });
            Some(flag.notices(today).into_iter().chain(wrong).map(|notice| (own.key, notice)))
        };
        let notices: Vec<_> = CATALOGUE.into_iter().filter_map(of).flatten().collect();
        let flags = CATALOGUE.iter().filter(|own| notices.iter().any(|(key, _)| *key == own.key)).count();
        self.metrics.noticed.set(i64::try_from(flags).unwrap_or(i64::MAX));
        notices
    }

    /// The definition in use.
    pub fn definition(&self) -> Arc<Definition> {
        Arc::clone(&self.definition.read())
    }

    /// How batches of a customer are compressed on the log.
    pub fn log_compression(&self, customer: &str) -> Compression {
        match self.decide(&LOG_COMPRESSION, &self.of_customer(customer)).name {
            "off" => Compression::Off,
            "gzip" => Compression::Gzip,
            _ => Compression::Zstd,
        }
    }

    /// Whether bursts of a customer are looked for.
    pub fn burst_detection(&self, customer: &str) -> bool {
        self.decide(&BURST_DETECTION, &self.of_customer(customer)).name == "on"
    }

    /// Which share of log lines of the level info and below is written, 0 to 1.
    pub fn log_sampling(&self) -> f64 {
        let context = Context::of_key(self.process).with("process", self.process);
        let value = self.decide(&LOG_SAMPLING, &context).value;
        value.as_ref().and_then(Value::as_f64).unwrap_or(1.0)
    }

    /// Shows how many of `customers` have which variant. These are no decisions, and are not counted as such.
    pub fn show_customers<'c>(&self, customers: impl Iterator<Item = &'c str>) {
        let definition = self.definition();
        let mut counts = std::collections::BTreeMap::new();
        for customer in customers {
            for own in [&LOG_COMPRESSION, &BURST_DETECTION] {
                let (name, ..) = self.evaluated(&definition, own, &self.of_customer(customer));
                *counts.entry((own.key, name)).or_insert(0_i64) += 1;
            }
        }
        // Those that nobody has, too: without a moment in which none is shown.
        for own in [&LOG_COMPRESSION, &BURST_DETECTION] {
            for name in own.takes.names() {
                let count = counts.get(&(own.key, *name)).copied().unwrap_or(0);
                self.metrics.customers.with_label_values(&[own.key, *name]).set(count);
            }
        }
    }

    /// From now on, decisions are counted for [`take_exposures`](Self::take_exposures).
    pub fn expose(&self) {
        self.exposing.store(true, Ordering::Relaxed);
    }

    /// The decisions since the last time.
    pub fn take_exposures(&self) -> Vec<Exposure> {
        self.exposures.take()
    }

    fn of_customer(&self, customer: &str) -> Context {
        Context::of_customer(customer).with("process", self.process)
    }

    fn decide(&self, own: &'static OwnFlag, context: &Context) -> Decision {
        let (name, value, evaluation) = self.evaluated(&self.definition(), own, context);
        self.metrics.evaluated(own.key, name, evaluation.reason);
        if self.exposing.load(Ordering::Relaxed) {
            self.exposures.add(own.key, name);
        }
        Decision { name, value }
    }

    fn evaluated(
        &self,
        definition: &Definition,
        own: &'static OwnFlag,
        context: &Context,
    ) -> (&'static str, Option<Value>, Evaluation) {
        let evaluation = own.evaluate(definition, context, self.clock.now());
        let name = evaluation
            .value
            .as_ref()
            .and_then(|value| own.takes.name_of(value))
            .unwrap_or_else(|| own.fallback(evaluation.reason));
        (name, evaluation.value.clone(), evaluation)
    }
}

impl OwnFlag {
    /// What this flag is by a definition: as [`Definition::evaluate`], and an error where the value is of another type.
    /// One that the definition does not have is no error: its safe default holds.
    pub fn evaluate(
        &self,
        definition: &Definition,
        context: &Context,
        now: flagmeter_model::Timestamp,
    ) -> Evaluation {
        let evaluation = definition.evaluate(self.key, context, now);
        let is_unset =
            matches!(&evaluation.failure, Some(failure) if failure.code == ErrorCode::FlagNotFound);
        match &evaluation.value {
            None if is_unset => Evaluation::without_value(Reason::Default),
            Some(value) if !self.fits(value) => {
                let why = format!("its value is {value}, and it takes {}", self.takes.described());
                Evaluation::failed(Failure::new(ErrorCode::TypeMismatch, why))
            }
            _ => evaluation,
        }
    }
}

#[cfg(test)]
mod tests {
    use flagmeter_model::{ManualClock, Timestamp};

    use super::*;
    use crate::Takes;

    const EXAMPLE: &str = include_str!("../../docs/runtime-flags.example.json");

    struct Bench {
        flags: RuntimeFlags,
        registry: Registry,
        clock: ManualClock,
    }

    fn bench() -> Bench {
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-11-22T08:00:00Z").unwrap());
        let registry = Registry::new();
        let flags = RuntimeFlags::new("edge", Arc::new(clock.clone()), &registry).unwrap();
        Bench { flags, registry, clock }
    }

    impl Bench {
        /// The value of a metric with these labels' values.
        fn value(&self, name: &str, labels: &[&str]) -> f64 {
            let families = self.registry.gather();
            let family = families.iter().find(|family| family.name() == name).expect("there");
            let has = |metric: &&prometheus::proto::Metric| {
                labels.iter().all(|label| metric.get_label().iter().any(|pair| pair.value() == *label))
            };
            let metric = family.get_metric().iter().find(has);
            metric.map_or(0.0, |metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
        }
    }

    fn compressing(targeting: &str) -> String {
        format!(
            r#"{{"flags": {{"log-compression": {{"state": "ENABLED", "defaultVariant": "off", "targeting": {targeting},
                "variants": {{"off": "off", "gzip": "gzip", "zstd": "zstd"}},
                "metadata": {{"owner": "pipeline", "remove_by": "2027-03-31"}}}}}}}}"#
        )
    }

    #[test]
    fn without_a_definition_the_safe_defaults_hold_and_that_is_no_error() {
        let bench = bench();
        assert!((bench.value("flagmeter_flags_source_good", &[]) - 1.0).abs() < f64::EPSILON, "none is set");
        assert_eq!(bench.flags.log_compression("acme"), Compression::Zstd);
        assert!(bench.flags.burst_detection("acme"));
        assert!((bench.flags.log_sampling() - 1.0).abs() < f64::EPSILON);
        let evaluations = "flagmeter_flags_evaluations_total";
        assert!(
            (bench.value(evaluations, &["log-compression", "zstd", "DEFAULT"]) - 1.0).abs() < f64::EPSILON
        );
        for own in CATALOGUE {
            let takes = own.takes.described();
            let is_one = matches!(own.takes, Takes::OneOf(names) if names.contains(&own.default));
            assert!(is_one || ["on", "off", "all", "none"].contains(&own.default), "{}: {takes}", own.key);
        }
    }

    #[test]
    fn the_documented_example_decides_as_it_is_documented() {
        let bench = bench();
        let taken = bench.flags.take(EXAMPLE).unwrap();
        assert_eq!(taken.notices, [], "the example is a good one");
        assert_eq!(taken.others, 1);
        // Lists out and in go before the share.
        assert_eq!(bench.flags.log_compression("globex"), Compression::Off);
        assert_eq!(bench.flags.log_compression("acme"), Compression::Gzip);
        let zstd =
            (0..1_000).filter(|n| bench.flags.log_compression(&format!("c{n}")) == Compression::Zstd).count();
        assert!((150..250).contains(&zstd), "{zstd}");
        assert!(!bench.flags.burst_detection("load-tests"));
        assert!(bench.flags.burst_detection("acme"));
        assert!((bench.flags.log_sampling() - 0.1).abs() < f64::EPSILON);
    }

    #[test]
    fn a_broken_text_changes_nothing_and_is_counted() {
        let bench = bench();
        bench.flags.take(&compressing("{}")).unwrap();
        assert_eq!(bench.flags.log_compression("acme"), Compression::Off);
        bench.flags.take("{").unwrap_err();
        assert_eq!(bench.flags.log_compression("acme"), Compression::Off);
        assert!((bench.value("flagmeter_flags_refused_total", &[]) - 1.0).abs() < f64::EPSILON);
        assert!(bench.value("flagmeter_flags_source_good", &[]).abs() < f64::EPSILON);
        bench.flags.take(&compressing("{}")).unwrap();
        assert!((bench.value("flagmeter_flags_source_good", &[]) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_kill_switch_is_without_it_and_changes_are_told_with_their_time() {
        let bench = bench();
        assert_eq!(bench.flags.take(&compressing("{}")).unwrap().changed, ["log-compression"]);
        bench.clock.advance(60);
        assert_eq!(bench.flags.take(&compressing("{}")).unwrap().changed, [""; 0]);
        let first = bench.value("flagmeter_flags_last_change_timestamp_seconds", &["log-compression"]);
        bench.clock.advance(60);
        let killed =
            compressing("{}").replace("ENABLED", "DISABLED").replace(": \"off\", \"t", ": \"gzip\", \"t");
        assert_eq!(bench.flags.take(&killed).unwrap().changed, ["log-compression"]);
        let second = bench.value("flagmeter_flags_last_change_timestamp_seconds", &["log-compression"]);
        assert!((second - first - 120.0).abs() < f64::EPSILON);
        assert_eq!(bench.flags.log_compression("acme"), Compression::Off);
        let disabled = ["log-compression", "off", "DISABLED"];
        assert!((bench.value("flagmeter_flags_evaluations_total", &disabled) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_restart_is_no_change_of_what_was_good_before() {
        let bench = bench();
        bench.flags.resume(&compressing("{}")).unwrap();
        assert_eq!(bench.flags.log_compression("acme"), Compression::Off);
        let changed_at =
            || bench.value("flagmeter_flags_last_change_timestamp_seconds", &["log-compression"]);
        assert_eq!(bench.flags.take(&compressing("{}")).unwrap().changed, [""; 0]);
        assert!(changed_at().abs() < f64::EPSILON);
        assert_eq!(bench.flags.take("{\"flags\": {}}").unwrap().changed, ["log-compression"]);
        assert!(changed_at() > 0.0);
    }

    #[test]
    fn a_value_of_another_type_is_an_error_with_the_safe_default() {
        let bench = bench();
        let wrong = r#"{"flags": {"log-compression": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
            "metadata": {"owner": "pipeline", "remove_by": "2027-03-31"}}}}"#;
        let taken = bench.flags.take(wrong).unwrap();
        let [(key, notice)] = &taken.notices[..] else { panic!("{taken:?}") };
        assert_eq!(*key, "log-compression");
        assert!(notice.to_string().contains("\"off\", \"gzip\", \"zstd\""), "{notice}");
        assert_eq!(bench.flags.log_compression("acme"), Compression::Zstd);
        let error = ["log-compression", "zstd", "ERROR"];
        assert!((bench.value("flagmeter_flags_evaluations_total", &error) - 1.0).abs() < f64::EPSILON);
        assert!((bench.value("flagmeter_flags_noticed", &[]) - 1.0).abs() < f64::EPSILON);
        let evaluation =
            LOG_COMPRESSION.evaluate(&bench.flags.definition(), &Context::default(), bench.clock.now());
        assert_eq!(evaluation.failure.unwrap().code, ErrorCode::TypeMismatch);
    }

    #[test]
    fn customers_are_shown_by_variant_and_decisions_are_exposed_when_asked_for() {
        let bench = bench();
        let half = r#"{"fractional": [["zstd", 50], ["off", 50]]}"#;
        bench.flags.take(&compressing(half)).unwrap();
        let customers: Vec<String> = (0..200).map(|number| format!("customer-{number}")).collect();
        bench.flags.show_customers(customers.iter().map(String::as_str));
        let shown = |variant| bench.value("flagmeter_flags_customers", &["log-compression", variant]);
        assert!((shown("zstd") + shown("off") - 200.0).abs() < f64::EPSILON);
        assert!((75.0..125.0).contains(&shown("zstd")), "{}", shown("zstd"));
        bench.flags.show_customers(std::iter::once("customer-0"));
        assert!((shown("zstd") + shown("off") - 1.0).abs() < f64::EPSILON, "those that nobody has are 0");
        bench.flags.burst_detection("acme");
        assert_eq!(bench.flags.take_exposures(), [], "not asked for");
        bench.flags.expose();
        bench.flags.burst_detection("acme");
        bench.flags.burst_detection("globex");
        let two = [Exposure { flag: "burst-detection", variant: "on", count: 2 }];
        assert_eq!(bench.flags.take_exposures(), two);
        assert_eq!(bench.flags.take_exposures(), []);
    }
}
