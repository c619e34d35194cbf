//! Where the definition of runtime flags comes from: looked at once and again, taken when it has changed and is good.

use std::{path::PathBuf, sync::Arc, time::Duration};

use flagmeter_model::{Clock, Registry};
use flagmeter_rollout::{Definition, Notice, RuntimeFlags, Taken};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Error, Result,
    config::Config,
    process::sampling,
    source::{GoodCopy, WatchedFile, WatchedUrl},
};

/// How long the first look at an address may hold up a start.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(3);
/// Customers are shown by variant so often also where nothing has changed: a rule may go by the time.
const SHOW_EVERY: Duration = Duration::from_mins(1);

/// The source, and the flags that it defines.
#[derive(Debug)]
pub(crate) struct FlagWatch {
    flags: Arc<RuntimeFlags>,
    source: Option<Source>,
    good_copy: Option<GoodCopy>,
}

#[derive(Debug)]
enum Source {
    File(WatchedFile),
    Url(Box<WatchedUrl>),
}

impl Source {
    fn of(config: &Config) -> Result<Option<Self>> {
        let flags = &config.runtime_flags;
        if !flags.url.is_empty() {
            let url = WatchedUrl::new(&flags.url, Definition::BYTES_MAX)
                .map_err(|why| Error::Config(format!("runtime_flags.url: {why}")))?;
            return Ok(Some(Self::Url(Box::new(url))));
        }
        let file = &flags.file;
        let is_set = !file.as_os_str().is_empty();
        Ok(is_set.then(|| Self::File(WatchedFile::new(file.clone(), Definition::BYTES_MAX))))
    }

    fn shown(&self) -> String {
        match self {
            Self::File(file) => file.path().display().to_string(),
            Self::Url(url) => url.shown(),
        }
    }

    async fn look(&mut self) -> Option<Result<String, String>> {
        match self {
            Self::File(file) => file.look().cloned(),
            Self::Url(url) => url.look().await.cloned(),
        }
    }
}

/// Looks at the source that is configured, once: where it is, and its text or why there is none. `None` where none is.
pub(crate) async fn look_once(config: &Config) -> Result<Option<(String, Result<String, String>)>> {
    let Some(mut source) = Source::of(config)? else { return Ok(None) };
    let looked = source.look().await;
    Ok(looked.map(|looked| (source.shown(), looked)))
}

impl FlagWatch {
    /// Looks at the source for the first time. Where it has nothing good, what was last good holds, else the safe
    /// defaults: no start fails for that.
    pub(crate) async fn open(
        config: &Config,
        process: &'static str,
        clock: &Arc<dyn Clock>,
        metrics: &prometheus::Registry,
        good_copy: Option<PathBuf>,
    ) -> Result<Self> {
        let flags = Arc::new(RuntimeFlags::new(process, Arc::clone(clock), metrics)?);
        let good_copy = good_copy.map(|path| GoodCopy::new("the runtime flags", path, Definition::BYTES_MAX));
        let mut watch = Self { flags, source: Source::of(config)?, good_copy };
        // Before the first look: so only what is another now is a change.
        let resumed = watch.source.is_some() && watch.resume();
        let looked = tokio::time::timeout(FIRST_LOOK_MAX, watch.look()).await;
        if looked.is_err() {
            watch.flags.source_failed();
            warn!("the runtime flags cannot be fetched in time: they are looked for again while this runs");
        }
        if watch.source.is_some() && looked != Ok(Some(true)) {
            watch.tell_resumed(resumed);
        }
        sampling::set(watch.flags.log_sampling());
        Ok(watch)
    }

    pub(crate) fn flags(&self) -> Arc<RuntimeFlags> {
        Arc::clone(&self.flags)
    }

    /// Looks every `interval` until it is told to stop. `registry`: whose customers are shown by variant.
    pub(crate) async fn run(
        mut self,
        interval: Duration,
        registry: Option<watch::Receiver<Arc<Registry>>>,
        stop: CancellationToken,
    ) -> Result<()> {
        let mut show_at = Instant::now();
        loop {
            if Instant::now() >= show_at {
                self.show(registry.as_ref());
                show_at = Instant::now() + SHOW_EVERY;
            }
            if stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_none() {
                return Ok(());
            }
            let Some(looked) = stop.run_until_cancelled(self.look()).await else { return Ok(()) };
            if looked == Some(true) {
                show_at = Instant::now();
            }
            sampling::set(self.flags.log_sampling());
        }
    }

    /// Measures what goes by the time as well.
    fn show(&self, registry: Option<&watch::Receiver<Arc<Registry>>>) {
        drop(self.flags.notices());
        if let Some(registry) = registry {
            let registry = registry.borrow().clone();
            self.flags.show_customers(registry.customers().iter().map(|customer| &*customer.id));
        }
    }

    /// Whether a good definition was taken; `None` where there was nothing new.
    async fn look(&mut self) -> Option<bool> {
        let source = self.source.as_mut()?;
        let found = source.look().await?;
        let place = source.shown();
        let taken = match &found {
            Ok(text) => self.flags.take(text).map_err(|error| error.to_string()),
            Err(reason) => {
                self.flags.source_failed();
                Err(reason.clone())
            }
        };
        match taken {
            Ok(taken) => {
                tell(&place, &taken);
                if let (Some(good_copy), Ok(text)) = (&self.good_copy, &found) {
                    good_copy.keep(text);
                }
                Some(true)
            }
            Err(reason) => {
                warn!("the runtime flags {place} are refused, those before go on: {reason}");
                Some(false)
            }
        }
    }

    /// Whether what was last good is in use.
    fn resume(&self) -> bool {
        let text = self.good_copy.as_ref().and_then(|copy| copy.read().ok());
        text.is_some_and(|text| self.flags.resume(&text).is_ok())
    }

    /// The source has nothing good.
    fn tell_resumed(&self, resumed: bool) {
        let copy = self.good_copy.as_ref().filter(|_| resumed);
        let Some(copy) = copy else {
            warn!("there are no runtime flags that were good before: the safe defaults hold");
            return;
        };
        warn!("going on with the runtime flags that were last good, {}", copy.path().display());
        tell_notices(&self.flags.notices());
    }
}

/// One line for a change, and one for each flag that someone should look after.
fn tell(place: &str, taken: &Taken) {
    info!(changed = taken.changed.join(" "), others = taken.others, "the runtime flags {place} are taken");
    tell_notices(&taken.notices);
}

fn tell_notices(notices: &[(&'static str, Notice)]) {
    for (flag, notice) in notices {
        warn!("runtime flag {flag}: {notice}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flagmeter_model::{ManualClock, SystemClock, Timestamp};
    use flagmeter_rollout::Compression;

    use super::*;
    use crate::config::SettingArgs;

    const OFF: &str = r#"{"flags": {"log-compression": {"state": "ENABLED", "defaultVariant": "off",
        "variants": {"off": "off", "gzip": "gzip", "zstd": "zstd"}}}}"#;

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn path(&self) -> PathBuf {
            self.folder.path().join("flags.json")
        }

        async fn open(&self) -> FlagWatch {
            self.open_with(Arc::new(SystemClock), &prometheus::Registry::new()).await
        }

        async fn open_with(&self, clock: Arc<dyn Clock>, metrics: &prometheus::Registry) -> FlagWatch {
            let set = vec![format!("runtime_flags.file={}", self.path().display())];
            let args = SettingArgs { set, ..SettingArgs::default() };
            let (config, _) = args.load_from(std::iter::empty()).unwrap();
            let copy = self.folder.path().join("good.json");
            FlagWatch::open(&config, "edge", &clock, metrics, Some(copy)).await.unwrap()
        }
    }

    /// The sum over all labels.
    fn measured(metrics: &prometheus::Registry, name: &str) -> f64 {
        let families = metrics.gather();
        let family =
            families.iter().find(|family| family.name() == format!("flagmeter_flags_{name}")).unwrap();
        let metrics = family.get_metric().iter();
        metrics.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }

    #[tokio::test]
    async fn a_restart_is_no_change_and_a_bad_source_is_refused_once() {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        let opened = || async {
            let metrics = prometheus::Registry::new();
            bench.open_with(Arc::new(SystemClock), &metrics).await;
            ["last_change_timestamp_seconds", "loads_total", "refused_total", "source_good"]
                .map(|name| measured(&metrics, name) > 0.0)
        };
        fs::write(bench.path(), OFF).unwrap();
        assert_eq!(opened().await, [true, true, false, true]);
        assert_eq!(opened().await, [false, true, false, true], "the same again");
        fs::write(bench.path(), OFF.replace("ENABLED", "DISABLED")).unwrap();
        assert_eq!(opened().await, [true, true, false, true], "another");
        fs::write(bench.path(), "{").unwrap();
        let metrics = prometheus::Registry::new();
        bench.open_with(Arc::new(SystemClock), &metrics).await;
        let found = ["refused_total", "source_good", "loads_total"].map(|name| measured(&metrics, name));
        assert_eq!(found.map(|value| format!("{value}")), ["1", "0", "0"]);
    }

    #[tokio::test]
    async fn a_date_that_passes_while_it_runs_is_noticed() {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        let dated = r#""metadata": {"owner": "pipeline", "remove_by": "2026-11-22"}, "flags""#;
        fs::write(bench.path(), OFF.replacen("\"flags\"", dated, 1)).unwrap();
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-11-22T23:59:59Z").unwrap());
        let metrics = prometheus::Registry::new();
        let watch = bench.open_with(Arc::new(clock.clone()), &metrics).await;
        watch.show(None);
        assert!(measured(&metrics, "noticed").abs() < f64::EPSILON);
        clock.advance(1);
        watch.show(None);
        assert!((measured(&metrics, "noticed") - 1.0).abs() < f64::EPSILON);
    }

    #[tokio::test]
    async fn a_change_is_taken_a_bad_one_refused_and_a_start_goes_on_with_the_last_good_one() {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        let mut watch = bench.open().await;
        let flags = watch.flags();
        assert_eq!(flags.log_compression("acme"), Compression::Zstd, "no file: the safe default");
        assert_eq!(watch.look().await, None, "told once");
        fs::write(bench.path(), OFF).unwrap();
        assert_eq!(watch.look().await, Some(true));
        assert_eq!(flags.log_compression("acme"), Compression::Off);
        assert_eq!(watch.look().await, None);
        fs::write(bench.path(), "{").unwrap();
        assert_eq!(watch.look().await, Some(false));
        assert_eq!(flags.log_compression("acme"), Compression::Off, "the last good one");
        let again = bench.open().await;
        assert_eq!(again.flags().log_compression("acme"), Compression::Off, "its copy");
        fs::remove_file(bench.path()).unwrap();
        assert_eq!(bench.open().await.flags().log_compression("acme"), Compression::Off);
        fs::write(bench.path(), OFF.replace("ENABLED", "DISABLED").replace(": \"off\",\n", ": \"gzip\",\n"))
            .unwrap();
        assert_eq!(watch.look().await, Some(true));
        assert_eq!(flags.log_compression("acme"), Compression::Off, "the kill switch");
    }
}
