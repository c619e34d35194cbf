//! Whether anything of the other customer is in an answer.

use std::time::Duration;

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};
use http_body_util::BodyExt as _;

use super::world::{DIGITS, MARKS};

/// How long a stream may take to say something.
const PATIENCE: Duration = Duration::from_mins(2);

/// An answer, or what a stream begins with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(super) async fn of(response: Response) -> Self {
        let (parts, mut body) = response.into_parts();
        let is_stream = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let mut bytes = Vec::new();
        // Of a stream: until its first event is whole.
        let is_enough = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            is_stream && text.split_once("\nevent: ").is_some_and(|(_, event)| event.contains("\n\n"))
        };
        while !is_enough(&bytes) {
            match tokio::time::timeout(PATIENCE, body.frame()).await.expect("something is answered") {
                Some(frame) => bytes.extend(frame.unwrap().into_data().unwrap_or_default()),
                None => break,
            }
        }
        Self { status: parts.status, headers: parts.headers, body: bytes }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What of the other's is in it, but for what the one who asked has said: these names.
    pub(super) fn trace(&self, said: &[&str]) -> Option<String> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        // The ids of a stream are drawn at random.
        let body: String =
            self.text().lines().filter(|line| !line.starts_with("id: ")).collect::<Vec<_>>().join("\n");
        let mut text = (headers.collect::<Vec<_>>().concat() + &body).to_lowercase();
        for word in said {
            text = text.replace(word, "");
        }
        let number = text
            .split(|char: char| !char.is_alphanumeric())
            .find(|word| word.len() >= DIGITS && word.bytes().all(|byte| byte.is_ascii_digit()));
        let name = MARKS.iter().find_map(|mark| text.find(mark));
        let name = name.map(|at| text[at..].chars().take(40).collect());
        name.or_else(|| number.map(str::to_owned))
    }

    /// What two answers to the same question have in common: positions and hashes of all there is are not it.
    pub(super) fn essence(&self) -> (StatusCode, Option<String>, String) {
        let mut essence = String::new();
        for word in self.text().split_inclusive(|char: char| !char.is_ascii_alphanumeric()) {
            let bare = word.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
            let is_hash = bare.len() >= 16 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hash { essence.push_str(&word.replace(bare, "#")) } else { essence.push_str(word) }
        }
        let essence =
            essence.lines().filter(|line| !line.starts_with("retry: ")).collect::<Vec<_>>().join("\n");
        let kind = self.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (self.status, kind, essence)
    }
}
