//! As little HTTP as the tests need, blocking, over a connection per request.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// How long an answer may take unless told.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Status line and headers.
    head: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.filter(|(named, _)| named.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// A POST of JSON; `None` when no whole answer came.
pub(crate) fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    exchange(address, "POST", path, headers, body, ANSWER_WITHIN)
}

/// A POST of JSON by somebody who does not wait for long.
pub(crate) fn post_within(
    within: Duration,
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    exchange(address, "POST", path, headers, body, within)
}

/// A GET; `None` when no whole answer came.
pub(crate) fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    exchange(address, "GET", path, headers, "", ANSWER_WITHIN)
}

/// A DELETE; `None` when no whole answer came.
pub(crate) fn delete(address: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    exchange(address, "DELETE", path, headers, "", ANSWER_WITHIN)
}

fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    within: Duration,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(within)).ok()?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").ok()?;
    }
    if method == "POST" {
        write!(request, "content-type: application/json\r\ncontent-length: {}\r\n", body.len()).ok()?;
    }
    request += "\r\n";
    request += body;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, body: String::new(), head: head.to_owned() };
    answer.body = match answer.header("content-length") {
        // Whoever was killed meanwhile has sent a part.
        Some(length) => body.get(..length.parse().ok()?)?.to_owned(),
        None if answer.header("transfer-encoding") == Some("chunked") => dechunk(body)?,
        None => body.to_owned(),
    };
    Some(answer)
}

fn dechunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole += rest.get(..size)?;
        body = rest.get(size + 2..)?;
    }
}
