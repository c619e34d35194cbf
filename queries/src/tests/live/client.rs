//! A viewer as docs/live.md tells to build one: it knows nothing but the words of the stream.

use std::time::{Duration, Instant};

use axum::{body::Body, response::Response};
use flagmeter_model::Timestamp;
use http_body_util::BodyExt as _;
use serde_json::Value;

/// How long anything may take that is to come: after a computation that took two seconds a question rests for 18.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

/// What a viewer has put together.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) answer: Option<Value>,
}

/// What a row is of, beside its bucket.
fn group_of(row: &Value) -> Value {
    let mut group = row.as_object().unwrap().clone();
    for member in ["start", "end", "state", "count", "previous"] {
        group.remove(member);
    }
    Value::Object(group)
}

fn start_of(row: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(row["start"].as_str().unwrap()).unwrap()
}

impl Client {
    /// Takes an event.
    pub(crate) fn take(&mut self, name: &str, data: &str) {
        match name {
            "snapshot" => self.answer = Some(serde_json::from_str(data).unwrap()),
            "delta" => self.apply(serde_json::from_str(data).unwrap()),
            _ => {}
        }
    }

    fn apply(&mut self, mut delta: Value) {
        let before = self.answer.take().expect("a snapshot comes first");
        let old_rows = before["rows"].as_array().unwrap();
        let as_before = || {
            let first = old_rows.iter().take_while(|row| row["start"] == old_rows[0]["start"]);
            first.map(group_of).collect()
        };
        let groups = delta.as_object_mut().unwrap().remove("groups");
        let groups = groups.map_or_else(as_before, |groups| groups.as_array().unwrap().clone());
        let from = Timestamp::parse_rfc3339(delta["from"].as_str().unwrap()).unwrap();
        let mut rows: Vec<Value> = old_rows.iter().filter(|row| start_of(row) >= from).cloned().collect();
        for row in delta["rows"].as_array().unwrap() {
            let same = |old: &&mut Value| old["start"] == row["start"] && group_of(old) == group_of(row);
            match rows.iter_mut().find(same) {
                Some(old) => *old = row.clone(),
                None => rows.push(row.clone()),
            }
        }
        rows.retain(|row| groups.contains(&group_of(row)));
        rows.sort_by_key(|row| (start_of(row), groups.iter().position(|group| *group == group_of(row))));
        delta["rows"] = rows.into();
        self.answer = Some(delta);
    }
}

/// An event as it came.
#[derive(Debug)]
pub(super) struct Event {
    /// `retry` and `comment` for what is none.
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

impl Event {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    fn read(text: &str) -> Self {
        let mut event = Self { name: "comment".into(), id: None, data: String::new() };
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.into(),
                Some(("id", id)) => event.id = Some(id.into()),
                Some(("data", data)) => event.data = data.into(),
                Some(("retry", after)) => {
                    event.name = "retry".into();
                    event.data = after.into();
                }
                _ => assert_eq!(line, ":", "a stream has other words than these"),
            }
        }
        event
    }
}

/// A stream that is read.
pub(super) struct Watching {
    body: Body,
    unread: String,
    pub(super) client: Client,
    pub(super) last_id: Option<String>,
}

impl Watching {
    pub(super) fn new(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), unread: String::new(), client: Client::default(), last_id: None }
    }

    /// Closes the connection, and keeps what was put together, and the id of the last event.
    pub(super) fn leave(self) -> (Client, Option<String>) {
        (self.client, self.last_id)
    }

    /// The next event; `None` at the end. What to do about each is done.
    pub(super) async fn any(&mut self) -> Option<Event> {
        let text = loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = event.to_owned();
                self.unread = rest.to_owned();
                break event;
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame());
            let bytes = frame.await.expect("something comes")?.unwrap().into_data().unwrap();
            self.unread.push_str(std::str::from_utf8(&bytes).unwrap());
        };
        let event = Event::read(&text);
        self.last_id = event.id.clone().or(self.last_id.take());
        self.client.take(&event.name, &event.data);
        Some(event)
    }

    /// The next event that says something.
    pub(super) async fn next(&mut self) -> Option<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "nothing comes but signs of life");
            match self.any().await {
                Some(event) if ["retry", "comment"].contains(&&*event.name) => {}
                event => return event,
            }
        }
    }

    /// The next event of this name; those before it are taken.
    pub(super) async fn until(&mut self, name: &str) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "no {name} came");
            let event = self.any().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }

    /// Reads until what was put together is this.
    pub(super) async fn until_it_is(&mut self, answer: &Value) {
        let deadline = Instant::now() + PATIENCE;
        while self.client.answer.as_ref() != Some(answer) {
            assert!(Instant::now() < deadline, "it is {:?} and not {answer}", self.client.answer);
            self.any().await.expect("the stream goes on");
        }
    }
}
