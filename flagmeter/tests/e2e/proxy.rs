//! A proxy between the stages and InfluxDB that does what networks and busy servers do.
//!
//! It knows where a request begins and ends, so that a fault can hit halfway through one. Each connection is for one
//! request; both sides are told so.

use std::{
    collections::HashMap,
    fmt::Write as _,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use flagmeter_model::{ContentEncoding, decompress};
use flate2::{Compression, write::GzEncoder};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::server::free_address;

/// How often it is looked whether something has changed.
const POLL_EVERY: Duration = Duration::from_millis(5);
/// Steps of a slow connection.
const STEP: Duration = Duration::from_millis(50);
/// A client that is silent for longer has gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// More than any body holds, decompressed.
const LINES_BYTES_MAX: usize = 64 << 20;
/// Other points that were on their way when a time of rest began are no haste, and a busy machine may take long over
/// them. The same ones come again only from who has read the answer: none of these is too early by any slack.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// What is done to requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: they pass.
    None,
    /// Nobody listens.
    Refuse,
    /// Requests are taken and never answered.
    Hang,
    /// Both ways go this slowly.
    Slow { bytes_a_second: usize },
    /// One request in so many is cut anywhere, and so does not reach the server whole.
    CutRequest { one_in: u32 },
    /// One answer in so many is cut anywhere, after the server has done what was asked.
    CutAnswer { one_in: u32 },
    /// The server is not reached; this is answered instead.
    Answer { status: u16, retry_after_seconds: Option<u64> },
}

/// What it has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    /// Writes that a fault has hit.
    pub(crate) writes: u64,
    /// Questions that a fault has hit.
    pub(crate) questions: u64,
    /// Writes of raw points that came sooner than they were asked to. Only one process is to write these: who was
    /// not asked need not know.
    pub(crate) hasty: u64,
}

impl Done {
    /// What came on top.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            writes: self.writes - before.writes,
            questions: self.questions - before.questions,
            hasty: self.hasty - before.hasty,
        }
    }
}

/// The proxy. It ends with its value.
pub(crate) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// `host:port` of the server.
    server: String,
    closing: AtomicBool,
    state: Mutex<State>,
}

struct State {
    fault: Fault,
    done: Done,
    rng: StdRng,
    /// Since when and until when no raw point is to be written.
    rest: Option<(Instant, Instant)>,
    /// Until when points are not to be written again, by their bytes.
    told: HashMap<u64, Instant>,
}

impl Proxy {
    /// In front of the server at `url`. Where it cuts follows from `seed`.
    pub(crate) fn new(url: &str, seed: u64) -> Self {
        let listener = TcpListener::bind(free_address()).expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = State {
            fault: Fault::None,
            done: Done::default(),
            rng: StdRng::seed_from_u64(seed),
            rest: None,
            told: HashMap::new(),
        };
        let shared = Arc::new(Shared {
            server: url.strip_prefix("http://").expect("a server without TLS").to_owned(),
            closing: AtomicBool::new(false),
            state: Mutex::new(state),
        });
        let (listening, at) = (Arc::clone(&shared), address.clone());
        thread::spawn(move || listen(&listening, listener, &at));
        Self { address, shared }
    }

    /// Where the stages are to look for the server.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this is done to requests that come.
    pub(crate) fn set(&self, fault: Fault) {
        self.shared.state().fault = fault;
    }

    /// Lets everything pass when it is dropped: whatever fails, what a test has made must go again.
    pub(crate) fn healing(&self) -> Healing {
        Healing(Arc::clone(&self.shared))
    }

    pub(crate) fn done(&self) -> Done {
        self.shared.state().done
    }
}

/// See [`Proxy::healing`].
pub(crate) struct Healing(Arc<Shared>);

impl Drop for Healing {
    fn drop(&mut self) {
        self.0.state().fault = Fault::None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> Fault {
        self.state().fault
    }
}

impl State {
    /// Whether this request is hit, given the chance.
    fn hits(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    /// An answer is about to leave that asks not to be written to for so long. Whoever reads it does so later, and may
    /// come back no sooner than so long after that.
    fn tell(&mut self, request: &Request, rest: Duration) {
        if request.is_raw() {
            let now = Instant::now();
            self.rest = Some((now, now + rest));
            if let Some(points) = request.points() {
                self.told.insert(points, now + rest);
            }
        }
    }

    /// Whether raw points come sooner than they were asked to, on a connection that began then.
    fn is_hasty(&self, request: &Request, began: Instant) -> bool {
        let again = request.points().and_then(|points| self.told.get(&points));
        again.is_some_and(|&until| began < until)
            || self.rest.is_some_and(|(asked_at, until)| {
                request.is_raw() && began > asked_at + UNDER_WAY && began < until
            })
    }

    fn hit(&mut self, request: &Request) {
        if request.is_write() {
            self.done.writes += 1;
        } else {
            self.done.questions += 1;
        }
    }
}

fn listen(shared: &Arc<Shared>, first: TcpListener, address: &str) {
    let mut listener = Some(first);
    while !shared.closing.load(Ordering::Relaxed) {
        if shared.fault() == Fault::Refuse {
            listener = None;
        } else if listener.is_none() {
            // The port may be in use for a moment.
            listener = TcpListener::bind(address).ok();
        }
        let connection = listener.as_ref().and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            listener.accept().ok()
        });
        match connection {
            Some((client, _)) => {
                let (shared, began) = (Arc::clone(shared), Instant::now());
                // A connection that breaks is what this is about.
                thread::spawn(move || drop(serve(&shared, &client, began)));
            }
            None => thread::sleep(POLL_EVERY),
        }
    }
}

fn serve(shared: &Shared, client: &TcpStream, began: Instant) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(SILENCE_MAX))?;
    client.set_nodelay(true)?;
    let Some(request) = Request::read(client, shared)? else { return Ok(()) };
    let fault = judge(shared, &request, began);
    match fault {
        Fault::None | Fault::Refuse | Fault::Slow { .. } => {
            send(client, &ask(shared, &request.bytes)?, shared)
        }
        Fault::Hang => {
            while shared.fault() == Fault::Hang && !shared.closing.load(Ordering::Relaxed) {
                thread::sleep(POLL_EVERY);
            }
            Ok(())
        }
        Fault::CutRequest { .. } => {
            let cut = shared.state().rng.random_range(0..request.bytes.len());
            let mut server = TcpStream::connect(&shared.server)?;
            server.write_all(request.bytes.get(..cut).unwrap_or_default())?;
            server.shutdown(Shutdown::Both)
        }
        Fault::CutAnswer { .. } => {
            let answer = ask(shared, &request.bytes)?;
            let cut = shared.state().rng.random_range(0..answer.len().max(1));
            send(client, answer.get(..cut).unwrap_or_default(), shared)
        }
        Fault::Answer { status, retry_after_seconds } => {
            let mut answer = format!("HTTP/1.1 {status} Told so\r\nconnection: close\r\n");
            if let Some(seconds) = retry_after_seconds {
                let _ = write!(answer, "retry-after: {seconds}\r\n");
            }
            let body = r#"{"code":"unavailable","message":"the proxy was told to"}"#;
            let _ = write!(answer, "content-length: {}\r\n\r\n{body}", body.len());
            shared.state().tell(&request, Duration::from_secs(retry_after_seconds.unwrap_or(0)));
            send(client, answer.as_bytes(), shared)
        }
    }
}

/// What is done to this request, which is noted.
fn judge(shared: &Shared, request: &Request, began: Instant) -> Fault {
    let mut state = shared.state();
    state.done.hasty += u64::from(state.is_hasty(request, began));
    let told = state.fault;
    let fault = match told {
        Fault::CutRequest { one_in } | Fault::CutAnswer { one_in } if !state.hits(one_in) => Fault::None,
        fault => fault,
    };
    if fault != Fault::None {
        state.hit(request);
    }
    fault
}

/// The server's whole answer.
fn ask(shared: &Shared, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(&shared.server)?;
    server.write_all(request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

/// As fast as it is to go, and then the end.
fn send(mut client: &TcpStream, bytes: &[u8], shared: &Shared) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(step(shared).unwrap_or(rest.len()).min(rest.len()));
        client.write_all(now)?;
        rest = later;
        if !rest.is_empty() {
            thread::sleep(STEP);
        }
    }
    client.shutdown(Shutdown::Write)
}

/// Bytes until the next pause, where connections are slow.
fn step(shared: &Shared) -> Option<usize> {
    match shared.fault() {
        Fault::Slow { bytes_a_second } => Some((bytes_a_second / 20).max(1)),
        _ => None,
    }
}

/// A request, as it goes to the server.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Whole; `None` if the client goes before that.
    fn read(mut client: &TcpStream, shared: &Shared) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            if let Some(whole) = whole(&bytes) {
                return Ok(Some(Self { bytes: whole }));
            }
            let slow = step(shared);
            let most = slow.unwrap_or(chunk.len()).min(chunk.len());
            let read = client.read(&mut chunk[..most])?;
            if read == 0 {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk[..read]);
            if slow.is_some() {
                thread::sleep(STEP);
            }
        }
    }

    fn is_write(&self) -> bool {
        self.bytes.starts_with(b"POST /api/v2/write")
    }

    fn is_raw(&self) -> bool {
        let line = self.bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
        self.is_write() && line.windows(4).any(|at| at == b"_raw")
    }

    /// Tells counts and totals from all others, by their bytes: a retry sends the same ones. `None` for what else is
    /// written beside them, of which two writes may say the same at once.
    fn points(&self) -> Option<u64> {
        let body = self.bytes.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
        let body = self.bytes.get(body..).filter(|_| self.is_raw())?;
        let lines = decompress(body, ContentEncoding::Gzip, LINES_BYTES_MAX).ok()?;
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        (lines.starts_with(b"count,") || lines.starts_with(b"total,")).then(|| hasher.finish())
    }
}

/// The request, told to be the last of its connection, once all of it is there.
fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.windows(4).position(|at| at == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]);
    let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = lengths.next().map_or(Some(0), |(_, length)| length.trim().parse().ok())?;
    let mut request = format!("{head}\r\nconnection: close\r\n\r\n").into_bytes();
    request.extend_from_slice(body.get(..length)?);
    Some(request)
}

/// Whether it is haste that some lines are written, so long after others whose writer was asked to wait.
fn is_haste(first: &str, second: &str, rest_seconds: u64, after: Duration) -> bool {
    let proxy = Proxy::new("http://127.0.0.1:1", 1);
    proxy.set(Fault::Answer { status: 503, retry_after_seconds: Some(rest_seconds) });
    for (lines, after) in [(first, Duration::ZERO), (second, after)] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(lines.as_bytes()).expect("written");
        let body = gzip.finish().expect("compressed");
        thread::sleep(after);
        let mut client = TcpStream::connect(&proxy.address).expect("the proxy listens");
        let head = "POST /api/v2/write?bucket=x_raw HTTP/1.1\r\nhost: proxy\r\ncontent-length:";
        write!(client, "{head} {}\r\n\r\n", body.len()).expect("sent");
        client.write_all(&body).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains(&format!("retry-after: {rest_seconds}\r\n")), "{answer}");
    }
    assert_eq!(proxy.done().writes, 2);
    proxy.done().hasty == 1
}

#[test]
fn whoever_comes_back_too_early_is_seen_with_the_same_points_at_once() {
    const POINTS: &str = "count,customer=acme count=1i 7";
    const OTHERS: &str = "count,customer=acme count=2i 7";
    const TOTALS: &str = "total,customer=acme count=1i 7";
    const MINUTES: &str = "minute seen=1i 0";
    let at_once = Duration::ZERO;
    let cases = [
        (POINTS, POINTS, 60, at_once, true),
        (TOTALS, TOTALS, 60, at_once, true),
        (POINTS, POINTS, 1, Duration::from_secs(1), false),
        (POINTS, OTHERS, 1, at_once, false),
        (MINUTES, MINUTES, 1, at_once, false),
        (POINTS, OTHERS, 60, UNDER_WAY, true),
    ];
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || {
                let (first, second, rest, after, expected) = case;
                assert_eq!(is_haste(first, second, rest, after), expected, "{case:?}");
            });
        }
    });
}
