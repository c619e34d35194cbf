//! The stages of a process: stopped in the order in which they were started, which is that in which a count goes.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Error, Result, output, signals::Signals};

/// A task of the process, with its own way to be told to stop.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

/// The running stages, and what helps them.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    /// Each with what is said when it is told to stop.
    in_order: Vec<(Stage, &'static str)>,
    /// Stopped after all stages, and nothing is said.
    helpers: Vec<Stage>,
    /// Cancelled when a task ends that was not told to.
    broken: CancellationToken,
    tasks: TaskTracker,
}

/// What is closed once all stages have stopped.
pub(crate) struct Closing<T> {
    /// What it is.
    pub(crate) what: &'static str,
    /// The parts, closed in the order of their fields.
    pub(crate) parts: T,
    /// Tells at the very end what that means.
    pub(crate) then: Then,
}

/// The last words, of a process that has stopped in order.
pub(crate) type Then = Box<dyn FnOnce() -> &'static str + Send>;

impl Stages {
    /// Starts a stage; `stopping` is said when it is told to stop.
    pub(crate) fn start<F>(
        &mut self,
        name: &'static str,
        stopping: &'static str,
        run: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let stage = self.spawn(name, run);
        self.in_order.push((stage, stopping));
    }

    /// Starts what helps the stages, and so is stopped after them.
    pub(crate) fn help<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let helper = self.spawn(name, run);
        self.helpers.push(helper);
    }

    fn spawn<F>(&self, name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Stage
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let work = run(stop.clone());
        let (told, broken) = (stop.clone(), self.broken.clone().drop_guard());
        let task = self.tasks.spawn(async move {
            // Dropped by a panic as well: a stage that is gone is noticed however it went.
            let broken = broken;
            let ended = work.await;
            if told.is_cancelled() {
                broken.disarm();
                return ended;
            }
            ended.and(Err(Error::StageEnded(name)))
        });
        Stage { name, stop, task }
    }

    /// Returns when a signal comes, or when a stage ends by itself: then what was wrong is told by
    /// [`stop`](Self::stop).
    pub(crate) async fn until_told_to_stop(&self, signals: &mut Signals) {
        tokio::select! {
            () = signals.next() => {}
            () = self.broken.cancelled() => {}
        }
    }

    /// Stops in order, then closes what is left. A further signal ends it at once.
    pub(crate) async fn stop<T: Send + 'static>(
        self,
        closing: Closing<T>,
        signals: &mut Signals,
    ) -> Result<()> {
        tokio::select! {
            stopped = self.stop_in_order(closing) => stopped,
            () = signals.next() => Err(Error::StoppedAtOnce),
        }
    }

    async fn stop_in_order<T: Send + 'static>(self, closing: Closing<T>) -> Result<()> {
        let mut first_error = None;
        let stages = self.in_order.into_iter().map(|(stage, stopping)| (stage, Some(stopping)));
        let helpers = self.helpers.into_iter().map(|helper| (helper, None));
        for (Stage { name, stop, task }, stopping) in stages.chain(helpers) {
            if let Some(what) = stopping {
                output::note(format!("stopping: {what}"));
            }
            stop.cancel();
            let ended = task.await.unwrap_or(Err(Error::StageEnded(name)));
            if let Err(error) = ended {
                tracing::error!(%error, "{name} ended badly");
                first_error.get_or_insert(error);
            }
        }
        output::note(format!("stopping: closing {}", closing.what));
        // Closing waits for the disk.
        let closed = tokio::task::spawn_blocking(move || drop(closing.parts)).await;
        match (first_error, closed) {
            (Some(error), _) => Err(error),
            (None, Err(_)) => Err(Error::StageEnded("closing")),
            (None, Ok(())) => {
                output::note(format!("stopped: {}", (closing.then)()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Starts one stage; whether its end is noticed, and what it ends with.
    async fn end_of<F>(told: bool, run: impl FnOnce(CancellationToken) -> F) -> (bool, Option<Result<()>>)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let mut stages = Stages::default();
        stages.start("a stage", "it", run);
        let (stage, _) = stages.in_order.remove(0);
        if told {
            stage.stop.cancel();
        }
        let ended = stage.task.await.ok();
        (stages.broken.is_cancelled(), ended)
    }

    #[tokio::test]
    async fn a_stage_that_ends_by_itself_is_noticed_also_when_it_panics() {
        let panics = end_of(false, |_| async { panic!("on purpose") }).await;
        assert!(matches!(panics, (true, None)), "{panics:?}");
        let returns = end_of(false, |_| async { Ok(()) }).await;
        assert!(matches!(returns, (true, Some(Err(Error::StageEnded(_))))), "{returns:?}");
        let told = end_of(true, |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        assert!(matches!(told.await, (false, Some(Ok(())))));
    }

    /// Writes down when it is dropped.
    struct Told(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[tokio::test]
    async fn stages_stop_in_their_order_helpers_after_them_and_then_the_rest_is_closed() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut stages = Stages::default();
        let until_stopped = |name| {
            let told = Told(name, Arc::clone(&told));
            |stop: CancellationToken| async move {
                stop.cancelled().await;
                drop(told);
                Ok(())
            }
        };
        stages.help("helper", until_stopped("helper"));
        stages.start("first", "the first", until_stopped("first"));
        stages.start("second", "the second", until_stopped("second"));
        let parts = Told("parts", Arc::clone(&told));
        stages.stop_in_order(Closing { what: "the parts", parts, then: Box::new(|| "done") }).await.unwrap();
        assert_eq!(*told.lock().unwrap(), ["first", "second", "helper", "parts"]);
    }

    #[tokio::test]
    async fn the_first_error_is_told_and_the_others_are_stopped_all_the_same() {
        let mut stages = Stages::default();
        stages.start("first", "the first", |_| async { Err(Error::Usage("mine".into())) });
        let (stopped, was_stopped) = tokio::sync::oneshot::channel();
        stages.start("second", "the second", |stop| async move {
            stop.cancelled().await;
            stopped.send(()).unwrap();
            Ok(())
        });
        stages.broken.cancelled().await;
        let ended =
            stages.stop_in_order(Closing { what: "nothing", parts: (), then: Box::new(|| "done") }).await;
        assert!(matches!(ended, Err(Error::Usage(_))), "{ended:?}");
        was_stopped.await.unwrap();
    }
}
