//! A server that fails as it is told to: a real one cannot be made to.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use flagmeter_model::{ContentEncoding, ManualClock, decompress};
use parking_lot::Mutex;
use reqwest::Url;

use crate::{
    Result,
    conformance::fixture::at,
    influx::{Config, InfluxStore},
};

/// A request as the server got it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) accept: String,
    /// As it was sent.
    pub(super) raw: Vec<u8>,
    /// Decompressed.
    pub(super) body: String,
}

impl Request {
    /// The bucket that lines are written to; `None` for anything else and for empty writes.
    pub(super) fn bucket(&self) -> Option<&str> {
        let is_write = self.path == "/api/v2/write" && !self.body.is_empty();
        is_write.then(|| self.parameters.get("bucket").map(String::as_str)).flatten()
    }

    /// The statements that are asked; `None` for anything else.
    pub(super) fn question(&self) -> Option<&str> {
        (self.path == "/query").then(|| self.parameters.get("q").map(String::as_str)).flatten()
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Status, further headers, and the body.
    Status(u16, &'static str, String),
    /// A body that is announced in full, and cut off.
    Cut(String),
    /// Nothing: the connection is cut.
    Hangup,
    /// That all is well, after a while.
    Late(Duration),
    /// That all is well, once so many bodies of counts were on their way at once, and a little later.
    Together(usize),
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self::Status(status, "", String::new())
    }

    pub(super) fn refused(status: u16, why: &str) -> Self {
        Self::Status(status, "", format!("{{\"code\":\"invalid\",\"message\":\"{why}\"}}"))
    }
}

/// The end of each whole answer.
pub(super) const END: &str = "name,tags,time,answered\nregister,,0,1\n";

type Script = dyn FnMut(&Request) -> Option<Reply> + Send;

/// The server: it answers as the script says, and where that says nothing like a server that is well and empty.
pub(super) struct Stub {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    under_way: Arc<AtomicUsize>,
    /// Bodies of counts that came in and have no answer yet, and the most that they ever were.
    counts: Arc<[AtomicUsize; 2]>,
}

impl Stub {
    pub(super) fn new(script: impl FnMut(&Request) -> Option<Reply> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let stub =
            Self { address, requests: Arc::default(), under_way: Arc::default(), counts: Arc::default() };
        let seen = (Arc::clone(&stub.requests), Arc::clone(&stub.under_way), Arc::clone(&stub.counts));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let (script, (requests, under_way, counts)) = (Arc::clone(&script), seen.clone());
                // A client that cuts its connection ends the thread.
                thread::spawn(move || drop(serve(&connection, &script, &requests, &under_way, &counts)));
            }
        });
        stub
    }

    pub(super) fn config(&self) -> Config {
        Config {
            retain_raw: None,
            retain_minute: None,
            retain_quarter: None,
            tries_max: 4,
            retry_first: Duration::from_millis(1),
            retry_max: Duration::from_millis(4),
            ..Config::new(&self.address, "org", "secret")
        }
    }

    pub(super) async fn open(&self) -> Result<InfluxStore> {
        InfluxStore::open(self.config(), Arc::new(ManualClock::at(at(0)))).await
    }

    /// What was asked so far, in the order of arrival.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }

    /// The bodies that were written to a bucket.
    pub(super) fn written(&self, bucket: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.bucket() == Some(bucket)).collect()
    }

    /// Requests that came in and have no answer yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// The most bodies of counts that were on their way at once.
    pub(super) fn most_counts(&self) -> usize {
        self.counts[1].load(Ordering::SeqCst)
    }
}

/// Answers the requests of a connection until one side ends it.
fn serve(
    connection: &TcpStream,
    script: &Mutex<Box<Script>>,
    requests: &Mutex<Vec<Request>>,
    under_way: &AtomicUsize,
    [counts, most_counts]: &[AtomicUsize; 2],
) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader)? {
        under_way.fetch_add(1, Ordering::SeqCst);
        let count = usize::from(request.bucket().is_some() && request.body.starts_with("count,"));
        most_counts.fetch_max(counts.fetch_add(count, Ordering::SeqCst) + count, Ordering::SeqCst);
        requests.lock().push(request.clone());
        let told = script.lock()(&request);
        let told = told.unwrap_or_else(|| well(&request));
        match told {
            Reply::Late(after) => thread::sleep(after),
            Reply::Together(least) => {
                wait_until(|| most_counts.load(Ordering::SeqCst) >= least);
                // For those who come though there are enough: whether they would is seen by whoever looks at the most.
                thread::sleep(Duration::from_millis(2));
            }
            _ => {}
        }
        // Before the answer leaves: whoever has it looks at once.
        counts.fetch_sub(count, Ordering::SeqCst);
        under_way.fetch_sub(1, Ordering::SeqCst);
        if !reply(connection, told)? {
            break;
        }
    }
    Ok(())
}

/// Waits for what others bring about; not for ever, so that what never comes is a test that fails.
fn wait_until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_mins(2);
    while !is_so() && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends the answer. Whether the connection lives on.
fn reply(mut connection: &TcpStream, reply: Reply) -> io::Result<bool> {
    let (status, headers, body, is_cut) = match reply {
        Reply::Hangup => return Ok(false),
        Reply::Late(_) | Reply::Together(_) => (204, "", String::new(), false),
        Reply::Status(status, headers, body) => (status, headers, body, false),
        Reply::Cut(body) => (200, "", body, true),
    };
    let length = body.len() + if is_cut { 100 } else { 0 };
    write!(connection, "HTTP/1.1 {status} told\r\ncontent-length: {length}\r\n{headers}\r\n{body}")?;
    connection.flush()?;
    Ok(!is_cut)
}

/// As a server that is well: it has every bucket, takes every line, and holds nothing.
fn well(request: &Request) -> Reply {
    let name = request.parameters.get("name").cloned().unwrap_or_default();
    match request.path.as_str() {
        "/query" => Reply::Status(200, "", END.to_owned()),
        "/api/v2/buckets" => Reply::Status(
            200,
            "content-type: application/json\r\n",
            format!("{{\"buckets\":[{{\"id\":\"1\",\"name\":\"{name}\",\"retentionRules\":[]}}]}}"),
        ),
        _ => Reply::empty(204),
    }
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut raw = vec![0; length];
    reader.read_exact(&mut raw)?;
    let is_gzip = headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let encoding = if is_gzip { ContentEncoding::Gzip } else { ContentEncoding::Identity };
    let body = String::from_utf8(decompress(&raw, encoding, 1 << 26).unwrap().into_owned()).unwrap();
    let url = Url::parse(&format!("http://stub{target}")).unwrap();
    let mut parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    if url.path() == "/query" {
        let form = Url::parse(&format!("http://stub/?{body}")).unwrap();
        parameters.extend(form.query_pairs().into_owned());
    }
    let accept = headers.remove("accept").unwrap_or_default();
    Ok(Some(Request { path: url.path().to_owned(), parameters, accept, raw, body }))
}
