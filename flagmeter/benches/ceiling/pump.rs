//! Sends ready-made bodies as fast as the server takes them, with as little of the processors as can be.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{Result, load::Body, servers::Servers};

/// As many as ingest has.
const CONNECTIONS: usize = 4;

/// Where bodies go to, and those that come first.
pub(crate) struct Pump {
    address: String,
    org: String,
    token: String,
    warming: Vec<Body>,
}

impl Pump {
    pub(crate) fn new(servers: &Servers, warming: Vec<Body>) -> Result<Self> {
        let address =
            servers.influx_url.strip_prefix("http://").ok_or("InfluxDB's address begins with http://")?;
        Ok(Self {
            address: address.to_owned(),
            org: servers.influx_org.clone(),
            token: servers.influx_token.clone(),
            warming,
        })
    }

    /// Has the buckets know all series.
    pub(crate) fn warm(&self, prefix: &str) -> Result<()> {
        self.send_all(prefix, &self.warming)
    }

    /// Sends bodies. How long it took.
    pub(crate) fn send(&self, prefix: &str, bodies: &[Body]) -> Result<Duration> {
        let began = Instant::now();
        self.send_all(prefix, bodies)?;
        Ok(began.elapsed())
    }

    fn send_all(&self, prefix: &str, bodies: &[Body]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let done: Vec<std::io::Result<()>> = thread::scope(|scope| {
            let connections: Vec<_> =
                (0..CONNECTIONS).map(|_| scope.spawn(|| self.connection(prefix, bodies, &next))).collect();
            let ended = |thread: thread::ScopedJoinHandle<'_, std::io::Result<()>>| {
                thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a connection's thread panicked")))
            };
            connections.into_iter().map(ended).collect()
        });
        done.into_iter().collect::<std::io::Result<()>>().map_err(Into::into)
    }

    fn connection(&self, prefix: &str, bodies: &[Body], next: &AtomicUsize) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            let head = format!(
                "POST /api/v2/write?org={}&bucket={prefix}_raw&precision=ns HTTP/1.1\r\nhost: {}\r\nauthorization: \
                 Token {}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                self.org,
                self.address,
                self.token,
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)?;
            answered(&mut stream)?;
        }
        Ok(())
    }
}

/// Reads the answer, which has no body when all was written.
fn answered(stream: &mut TcpStream) -> std::io::Result<()> {
    let (mut answer, mut part) = (Vec::new(), [0; 4_096]);
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => break,
            read => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
        }
    }
    if answer.starts_with(b"HTTP/1.1 204") {
        return Ok(());
    }
    Err(std::io::Error::other(format!("InfluxDB answers {}", String::from_utf8_lossy(&answer))))
}
