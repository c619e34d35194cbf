//! Where the definition of runtime flags comes from: looked at once and again, taken when it has changed and is good.

use std::{path::PathBuf, sync::Arc, time::Duration};

use flagmeter_model::{Clock, Registry};
use flagmeter_rollout::{Definition, RuntimeFlags, Taken};
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
        let looked = tokio::time::timeout(FIRST_LOOK_MAX, watch.look()).await;
        if looked.is_err() {
            watch.flags.source_failed();
            warn!("the runtime flags cannot be fetched in time: they are looked for again while this runs");
        }
        if watch.source.is_some() && looked != Ok(Some(true)) {
            watch.take_good_copy();
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

    fn show(&self, registry: Option<&watch::Receiver<Arc<Registry>>>) {
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

    fn take_good_copy(&self) {
        let copy = self.good_copy.as_ref();
        let taken =
            copy.and_then(|copy| Some((copy.path().display(), self.flags.take(&copy.read().ok()?).ok()?)));
        let Some((place, taken)) = taken else {
            warn!("there are no runtime flags that were good before: the safe defaults hold");
            return;
        };
        // It is not what the source has.
        self.flags.source_failed();
        warn!("going on with the runtime flags that were last good, {place}");
        tell(&place.to_string(), &taken);
    }
}

/// One line for a change, and one for each flag that someone should look after.
fn tell(place: &str, taken: &Taken) {
    info!(changed = taken.changed.join(" "), others = taken.others, "the runtime flags {place} are taken");
    for (flag, notice) in &taken.notices {
        warn!("runtime flag {flag}: {notice}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flagmeter_model::SystemClock;
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
            let set = vec![format!("runtime_flags.file={}", self.path().display())];
            let args = SettingArgs { set, ..SettingArgs::default() };
            let (config, _) = args.load_from(std::iter::empty()).unwrap();
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let copy = self.folder.path().join("good.json");
            FlagWatch::open(&config, "edge", &clock, &prometheus::Registry::new(), Some(copy)).await.unwrap()
        }
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
        fs::write(bench.path(), OFF.replace("ENABLED", "DISABLED")).unwrap();
        assert_eq!(watch.look().await, Some(true));
        assert_eq!(flags.log_compression("acme"), Compression::Zstd, "the kill switch");
    }
}
