//! Following `/v1/live`: what it says lands on a board, and while it says nothing, that is said.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use super::{
    board::{Board, Told},
    events::{Event, Reader},
};
use crate::{
    asking::said,
    http::{self, Streamed, Url},
};

/// The server says something every 15 seconds: after this it is taken for gone.
const PATIENCE: Duration = Duration::from_secs(45);
/// Between two tries to come back.
const BACK_AFTER: Duration = Duration::from_secs(1);
const BACK_AFTER_MAX: Duration = Duration::from_secs(15);

/// What is followed.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) url: Url,
    pub(super) token: String,
    /// Parameters, as `/v1/usage` and `/v1/live` take them.
    pub(super) query: String,
    /// What tells groups apart.
    pub(super) by: String,
}

/// What is known of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    pub(super) board: Board,
    /// Whether there was an answer.
    pub(super) is_told: bool,
    /// Why there is nothing newer.
    pub(super) away: Option<String>,
    /// Why there never will be.
    pub(super) refused: Option<String>,
}

/// A problem, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Problem {
    status: u16,
    detail: String,
}

/// Follows for as long as nobody refuses, over as many connections as it takes.
pub(super) async fn follow(question: Question, to: watch::Sender<Followed>) {
    let mut after = None;
    let mut pause = BACK_AFTER;
    loop {
        let path = format!("/v1/live?{}", question.query);
        let reason = match http::stream(&question.url, &path, &question.token, after.as_deref()).await {
            Ok(Streamed::Open(stream)) => {
                let ended = listen(stream, &question, &mut after, &to).await;
                pause = BACK_AFTER;
                ended.err().unwrap_or_else(|| "the server ended the stream".to_owned())
            }
            Ok(Streamed::Refused(answer)) => {
                let reason = said(&answer);
                if is_final(answer.status) {
                    to.send_modify(|followed| followed.refused = Some(reason));
                    return;
                }
                pause = pause_of(answer.retry_after, pause);
                reason
            }
            Err(reason) => reason,
        };
        if to.borrow().refused.is_some() {
            return;
        }
        to.send_modify(|followed| followed.away = Some(reason));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACK_AFTER_MAX);
    }
}

/// As long as a server asks for, within bounds: one that asks for no pause would be asked without end.
fn pause_of(asked: Option<Duration>, otherwise: Duration) -> Duration {
    asked.map_or(otherwise, |asked| asked.clamp(BACK_AFTER, BACK_AFTER_MAX))
}

/// Takes events until the stream ends or breaks.
async fn listen(
    mut stream: http::Stream,
    question: &Question,
    after: &mut Option<String>,
    to: &watch::Sender<Followed>,
) -> Result<(), String> {
    let mut reader = Reader::default();
    while let Some(bytes) = stream.next(PATIENCE).await? {
        for event in reader.take(&bytes)? {
            let taken = take(event, &question.by, after, to);
            if taken.is_err() {
                // What is known does not fit what comes: begin again.
                *after = None;
            }
            taken?;
        }
    }
    Ok(())
}

fn take(
    event: Event,
    by: &str,
    after: &mut Option<String>,
    to: &watch::Sender<Followed>,
) -> Result<(), String> {
    match event.name.as_str() {
        name @ ("snapshot" | "delta") => {
            let told: Told = serde_json::from_str(&event.data).map_err(|error| error.to_string())?;
            let mut taken = Ok(());
            to.send_modify(|followed| {
                taken = match name {
                    "snapshot" => followed.board.replace(told, by),
                    _ => followed.board.take(told, by),
                };
                followed.is_told = true;
                followed.away = None;
            });
            taken?;
        }
        "problem" => {
            let problem: Problem = serde_json::from_str(&event.data).map_err(|error| error.to_string())?;
            to.send_modify(|followed| {
                if is_final(problem.status) {
                    followed.refused = Some(problem.detail);
                } else {
                    followed.away = Some(problem.detail);
                }
            });
        }
        _ => {}
    }
    *after = event.id.or_else(|| after.take());
    Ok(())
}

/// Whether asking again is of no use: not so for too many streams, and for servers that are busy or away.
const fn is_final(status: u16) -> bool {
    matches!(status, 400..=428 | 430..=499)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(events: &[(&str, Option<&str>, &str)]) -> (Followed, Option<String>, Result<(), String>) {
        let to = watch::Sender::new(Followed::default());
        let mut after = None;
        let mut last = Ok(());
        for (name, id, data) in events {
            let event = Event { id: id.map(str::to_owned), name: (*name).into(), data: (*data).into() };
            last = take(event, "flag", &mut after, &to);
        }
        let followed = to.borrow().clone();
        (followed, after, last)
    }

    const ANSWER: &str = r#"{"from":"2026-11-20T12:44:00Z","complete_until":null,"missing_nodes":[],"rows":[
        {"start":"2026-11-20T12:44:00Z","end":"","state":"open","count":7,"flag":"a"}]}"#;

    #[test]
    fn a_problem_leaves_what_is_known_and_the_next_answer_ends_it() {
        let problem = r#"{"status":503,"detail":"The store does not answer."}"#;
        let events = [("snapshot", Some("e-1"), ANSWER), ("problem", None, problem)];
        let (followed, after, _) = taken(&events);
        assert_eq!(followed.away.as_deref(), Some("The store does not answer."));
        assert_eq!((followed.board.groups.len(), after.as_deref()), (1, Some("e-1")));
        let (followed, after, _) = taken(&[&events[..], &[("delta", Some("e-2"), ANSWER)]].concat());
        assert_eq!((followed.away, followed.refused, after.as_deref()), (None, None, Some("e-2")));
    }

    #[test]
    fn a_problem_that_stays_ends_it_and_one_that_passes_does_not() {
        let ended = |status| {
            let problem = format!(r#"{{"status":{status},"detail":"x"}}"#);
            taken(&[("problem", None, &problem)]).0.refused.is_some()
        };
        assert_eq!(
            [400, 401, 403, 422, 429, 500, 503].map(ended),
            [true, true, true, true, false, false, false]
        );
    }

    #[test]
    fn a_server_is_given_the_pause_that_it_asks_for_within_bounds() {
        let seconds = Duration::from_secs;
        let asked =
            [None, Some(0), Some(7), Some(3_600)].map(|asked| pause_of(asked.map(seconds), seconds(4)));
        assert_eq!(asked, [4, 1, 7, 15].map(seconds));
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_no_table() {
        for wrong in ["{", "{}", r#"{"from":"x","complete_until":null,"missing_nodes":[],"rows":[]}"#] {
            assert!(taken(&[("snapshot", Some("e-1"), wrong)]).2.is_err(), "{wrong}");
        }
    }
}
