//! Server-Sent Events, as far as `/v1/live` uses them. Pure.

/// Largest event that is read: beyond it the stream is none of ours.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) data: String,
}

/// What came of a stream and is not a whole event yet.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    event: Event,
    bytes: usize,
}

impl Reader {
    /// Takes what came, and gives the events that are whole now. Comments and `retry` are none.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, String> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.bytes += piece.len();
            if self.bytes > EVENT_BYTES_MAX {
                return Err("an event of the stream is too large".into());
            }
            self.line.extend_from_slice(piece);
            if self.line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            self.bytes = 0;
            return Some(std::mem::take(&mut self.event)).filter(|event| !event.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_the_stream_is_cut() {
        let stream = "retry: 2761\n\nid: a-1\nevent: snapshot\ndata: {\"ä\":1}\n\n:\n\nevent: problem\ndata: x\ndata: y\n\n";
        let event = |id: Option<&str>, name: &str, data: &str| Event {
            id: id.map(str::to_owned),
            name: name.into(),
            data: data.into(),
        };
        let expected = [event(Some("a-1"), "snapshot", "{\"ä\":1}"), event(None, "problem", "x\ny")];
        for length in 1..stream.len() {
            let mut reader = Reader::default();
            let pieces = stream.as_bytes().chunks(length);
            let events: Vec<_> = pieces.flat_map(|piece| reader.take(piece).unwrap()).collect();
            assert_eq!(events, expected, "in pieces of {length}");
        }
    }

    #[test]
    fn a_stream_without_an_end_of_an_event_is_given_up() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2];
        assert_eq!(reader.take(&piece), Ok(vec![]));
        assert_eq!(reader.take(&piece), Ok(vec![]));
        assert!(reader.take(b"x").is_err());
    }
}
