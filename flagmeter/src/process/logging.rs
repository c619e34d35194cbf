//! The program's own log lines, on stderr, and its traces.

use std::io;

use tracing::{
    Event, Metadata,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    layer::{Context, Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::sampling;
use crate::{
    Error, Result,
    config::{Config, LogFormat},
    traces,
};

/// Starts logging, and traces where they are exported, for the whole process; `process` is which of ours it is.
pub(crate) fn start(config: &Config, process: &str) -> Result<()> {
    let logging = &config.logging;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match logging.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let mut layers = vec![lines.with_filter(Lines(logging.level.to_filter())).boxed()];
    layers.extend(traces::start(config, process)?);
    let started = tracing_subscriber::registry().with(layers).try_init();
    started.map_err(|error| Error::System(io::Error::other(error)))?;
    traces::tell(config);
    Ok(())
}

/// Which lines are written: what `logging.level` says, a share of it, and of no line the spans that are made for traces: they
/// would change what lines look like, and cost something where nobody exports them.
struct Lines(EnvFilter);

impl Filter<Registry> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        !traces::is_span_of_ours(metadata) && Filter::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if traces::is_span_of_ours(metadata) {
            return Interest::never();
        }
        Filter::<Registry>::callsite_enabled(&self.0, metadata)
    }

    fn event_enabled(&self, event: &Event<'_>, _context: &Context<'_, Registry>) -> bool {
        sampling::takes(event.metadata())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<Registry>::max_level_hint(&self.0)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Registry>) {
        Filter::on_new_span(&self.0, attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, Registry>) {
        Filter::on_record(&self.0, id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, Registry>) {
        Filter::on_enter(&self.0, id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, Registry>) {
        Filter::on_exit(&self.0, id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, Registry>) {
        Filter::on_close(&self.0, id, context);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn spans_for_traces_are_not_made_where_only_lines_are_written_and_stand_in_none() {
        let written = Written::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(written.clone()).with_ansi(false);
        let lines = lines.with_filter(Lines(EnvFilter::new("info,flagmeter=debug")));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let ours = tracing::info_span!("of-ours");
            assert!(ours.is_disabled(), "nobody listens: it costs nothing");
            let _in_ours = ours.enter();
            let others = tracing::info_span!(target: "hyper", "of-others");
            let _in_others = others.enter();
            tracing::debug!("a line");
            tracing::debug!(target: "elsewhere", "no line");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("of-others") && text.contains("a line"), "{text}");
        assert!(!text.contains("of-ours") && !text.contains("no line"), "{text}");
    }
}
