//! The registry's file: looked at once a second, taken when it has changed and is good.
//!
//! What was last found good is kept in the data folder, so that a bad edit, or a file that has gone, stops
//! nothing: neither a running server, which goes on with what it has, nor one that starts.

mod allowances;
mod metrics;
mod starter;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flagmeter_model::{Registry, RegistryError};
use flagmeter_queries::Calendar;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::metrics::Metrics;
pub(crate) use self::{
    allowances::allowances,
    starter::{Starter, secret},
};
use crate::{
    Error, Result, output,
    source::{self, GoodCopy, WatchedFile},
};

/// The file, and what was last taken from it.
#[derive(Debug)]
pub(crate) struct RegistryFile {
    file: WatchedFile,
    good_copy: GoodCopy,
    taken: watch::Sender<Arc<Registry>>,
    metrics: Metrics,
}

/// What a look at the file found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing new.
    Unchanged,
    /// A good registry, published.
    Taken,
    /// A bad one; the old one goes on. With what is wrong.
    Refused(String),
}

impl RegistryFile {
    /// Reads the file, or else the good copy, with a warning.
    pub(crate) fn open(path: PathBuf, good_copy: PathBuf, registry: &prometheus::Registry) -> Result<Self> {
        let metrics = Metrics::new(registry)?;
        let good_copy = GoodCopy::new("the registry", good_copy, Registry::BYTES_MAX);
        let mut file = WatchedFile::new(path.clone(), Registry::BYTES_MAX);
        let unread = Err("it was not looked at".to_owned());
        let text = file.look().unwrap_or(&unread).as_ref().map_err(Clone::clone);
        let (taken, good) = match text.and_then(|text| parse(text).inspect(|_| good_copy.keep(text))) {
            Ok(taken) => (taken, true),
            Err(reason) => match good_copy.read().and_then(|text| parse(&text)) {
                Ok(last_good) => {
                    warn!(
                        "the registry {} cannot be used ({reason}); going on with the last good one, {}",
                        path.display(),
                        good_copy.path().display()
                    );
                    metrics.refused.inc();
                    (last_good, false)
                }
                Err(_) => return Err(Error::Registry { path, reason }),
            },
        };
        metrics.current(good, &taken);
        Ok(Self { file, good_copy, taken: watch::Sender::new(Arc::new(taken)), metrics })
    }

    /// Where the stages see the registry.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Registry>> {
        self.taken.subscribe()
    }

    /// Looks at the file once.
    pub(crate) fn look(&mut self) -> Look {
        let Some(found) = self.file.look() else { return Look::Unchanged };
        let found = found.as_ref().map_err(Clone::clone);
        match found.and_then(|text| parse(text).inspect(|_| self.good_copy.keep(text))) {
            Ok(registry) => {
                info!(
                    customers = registry.customers().len(),
                    environments = registry.environments().len(),
                    "the registry has changed and is taken"
                );
                self.metrics.reloads.inc();
                self.metrics.current(true, &registry);
                self.taken.send_replace(Arc::new(registry));
                Look::Taken
            }
            Err(reason) => {
                warn!(
                    "the registry {} is refused, the old one goes on: {reason}",
                    self.file.path().display()
                );
                self.metrics.refused.inc();
                self.metrics.good.set(0);
                Look::Refused(reason)
            }
        }
    }

    /// Looks every `interval` until it is told to stop.
    pub(crate) async fn watch(mut self, interval: Duration, stop: CancellationToken) -> Result<()> {
        while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            self.look();
        }
        Ok(())
    }
}

/// `flagmeter registry check FILE`.
pub(crate) fn check(path: &Path) -> Result<()> {
    output::say(format!("ok: {}", summary(path)?));
    Ok(())
}

/// How much is in a registry's file, if it is good.
pub(crate) fn summary(path: &Path) -> Result<String> {
    let registry = source::read(path, Registry::BYTES_MAX)
        .and_then(|text| parse(&text))
        .map_err(|reason| Error::Registry { path: path.to_owned(), reason })?;
    let customers = registry.customers();
    let projects: usize = customers.iter().map(|customer| customer.projects.len()).sum();
    let keys: usize = customers
        .iter()
        .flat_map(|customer| &customer.projects)
        .flat_map(|project| &project.environments)
        .map(|environment| environment.keys.len())
        .sum();
    let plans = customers.iter().filter(|customer| customer.plan.is_some()).count();
    let counted =
        |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    Ok(format!(
        "{}, {}, {}, {}, {}",
        counted(customers.len(), "customer"),
        counted(projects, "project"),
        counted(registry.environments().len(), "environment"),
        counted(keys, "key"),
        counted(plans, "plan"),
    ))
}

/// Parses a registry and checks what the model cannot: that time zones exist, and that those of plans fit bills.
fn parse(text: &str) -> Result<Registry, String> {
    let registry = Registry::parse(text).map_err(|error: RegistryError| error.to_string())?;
    for customer in registry.customers() {
        if let Some(zone) = &customer.time_zone {
            known_zone(zone, customer.line)?;
        }
        let Some(plan) = &customer.plan else { continue };
        if let Some(zone) = &plan.time_zone {
            known_zone(zone, plan.line)?;
        }
        let calendar = Calendar::of(Some(customer));
        if !calendar.is_of_full_hours() {
            return Err(format!(
                "line {}: in {} a month begins within an hour of UTC, and what a plan includes is counted by such \
                 hours; give the plan a time_zone that is full hours off, such as \"UTC\"",
                plan.line,
                calendar.zone_name()
            ));
        }
    }
    Ok(registry)
}

fn known_zone(zone: &str, line: usize) -> Result<(), String> {
    if flagmeter_queries::is_time_zone(zone) {
        return Ok(());
    }
    Err(format!("line {line}: {zone:?} is no IANA time zone; write one such as \"Europe/Berlin\" or \"UTC\""))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str = r#"
[[customer]]
id = "acme"
[[customer.project]]
id = "web"
[[customer.project.environment]]
id = "production"
keys = ["key-1"]
"#;

    struct Bench {
        folder: tempfile::TempDir,
        metrics: prometheus::Registry,
    }

    impl Bench {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), metrics: prometheus::Registry::new() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("registry.toml")
        }

        fn good_copy(&self) -> PathBuf {
            self.folder.path().join("good.toml")
        }

        fn open(&self) -> Result<RegistryFile> {
            RegistryFile::open(self.path(), self.good_copy(), &self.metrics)
        }
    }

    fn knows(file: &RegistryFile, key: &str) -> bool {
        file.subscribe().borrow().environment_of(key).is_some()
    }

    #[test]
    fn a_change_is_taken_once() {
        let bench = Bench::new();
        fs::write(bench.path(), GOOD).unwrap();
        let mut file = bench.open().unwrap();
        assert!(knows(&file, "key-1"));
        assert_eq!(file.look(), Look::Unchanged);
        fs::write(bench.path(), GOOD.replace("key-1", "key-2")).unwrap();
        assert_eq!(file.look(), Look::Taken);
        assert!(knows(&file, "key-2") && !knows(&file, "key-1"));
        assert_eq!(file.look(), Look::Unchanged);
        assert_eq!(file.metrics.reloads.get(), 1);
    }

    #[test]
    fn a_bad_edit_is_refused_with_its_line_and_the_old_one_goes_on() {
        let bench = Bench::new();
        fs::write(bench.path(), GOOD).unwrap();
        let mut file = bench.open().unwrap();
        fs::write(bench.path(), GOOD.replace("keys = [\"key-1\"]", "keys = [\"key-1\"")).unwrap();
        let Look::Refused(reason) = file.look() else { panic!("taken") };
        assert!(reason.contains("line 8") || reason.contains("line 9"), "{reason}");
        assert!(knows(&file, "key-1"));
        assert_eq!((file.metrics.refused.get(), file.metrics.good.get()), (1, 0));
        fs::write(bench.path(), GOOD).unwrap();
        assert_eq!(file.look(), Look::Taken);
        assert_eq!(file.metrics.good.get(), 1);
    }

    #[test]
    fn a_start_with_a_bad_or_missing_file_goes_on_with_the_good_copy() {
        let bench = Bench::new();
        fs::write(bench.path(), GOOD).unwrap();
        drop(bench.open().unwrap());
        for bad in [Some("nonsense"), None] {
            match bad {
                Some(text) => fs::write(bench.path(), text).unwrap(),
                None => fs::remove_file(bench.path()).unwrap(),
            }
            let again = Bench { folder: tempfile::tempdir().unwrap(), metrics: prometheus::Registry::new() };
            let file = RegistryFile::open(bench.path(), bench.good_copy(), &again.metrics).unwrap();
            assert!(knows(&file, "key-1"));
            assert_eq!(fs::read_to_string(bench.good_copy()).unwrap(), GOOD);
        }
    }

    #[test]
    fn a_start_without_any_good_registry_is_refused_with_the_line() {
        let bench = Bench::new();
        fs::write(bench.path(), GOOD.replace("id = \"web\"", "id = 5")).unwrap();
        let error = bench.open().unwrap_err();
        assert!(error.to_string().contains("line 5"), "{error}");
    }

    #[test]
    fn a_time_zone_that_does_not_exist_is_told_with_its_line() {
        let bench = Bench::new();
        let zoned = GOOD.replace("id = \"acme\"", "id = \"acme\"\ntime_zone = \"Europe/Atlantis\"");
        fs::write(bench.path(), zoned).unwrap();
        let error = bench.open().unwrap_err();
        assert!(error.to_string().contains("line 4"), "{error}");
        assert!(error.to_string().contains("Europe/Atlantis"), "{error}");
    }

    #[test]
    fn a_plan_is_of_a_zone_that_is_full_hours_off() {
        let with = |zone: &str, plan: &str| {
            let text = GOOD.replace(
                "id = \"acme\"",
                &format!("id = \"acme\"\ntime_zone = {zone:?}\n[customer.plan]\n{plan}"),
            );
            parse(&text).map(|registry| registry.customers().len())
        };
        assert_eq!(with("Europe/Berlin", ""), Ok(1));
        assert_eq!(with("Asia/Kolkata", "time_zone = \"UTC\""), Ok(1));
        for (zone, plan, line, says) in [
            ("Asia/Kolkata", "", 5, "Asia/Kolkata a month begins within an hour"),
            ("UTC", "evaluations = 1\ntime_zone = \"Australia/Lord_Howe\"", 7, "Australia/Lord_Howe"),
            ("UTC", "time_zone = \"Mars\"", 6, "no IANA time zone"),
            ("Mars", "time_zone = \"UTC\"", 4, "no IANA time zone"),
        ] {
            let refused = with(zone, plan).unwrap_err();
            assert!(refused.starts_with(&format!("line {line}: ")) && refused.contains(says), "{refused}");
        }
    }
}
