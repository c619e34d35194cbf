//! Listening within bounds, and finishing open requests before the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::unread::Unread;
use crate::{Error, Result};

/// How long to wait after a connection could not be taken: with too many files open the next try fails as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What a listener may be made to bear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at a time; further ones wait to be taken.
    pub(crate) connections: usize,
    /// How long a connection may go without the head of a request.
    pub(crate) idle: Duration,
    /// How long a connection may go without its client taking anything of what it is sent.
    pub(crate) unread: Duration,
    /// How long open requests may take to finish once it is told to stop.
    pub(crate) finish: Duration,
}

/// Takes an address; `setting` names it where it cannot be had.
pub(crate) async fn bind(address: SocketAddr, setting: &'static str) -> Result<(TcpListener, SocketAddr)> {
    let refused = |reason| Error::Listen { address, setting, reason };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Answers until `stop`; then takes no new requests and finishes those that are open, within bounds.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(bounds.connections.min(Semaphore::MAX_PERMITS)));
    // HTTP/1 alone: to tell it from HTTP/2 takes a first byte, for which nothing would wait within bounds. SDKs speak
    // it, and so do proxies that end TLS.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.idle);
    let open = GracefulShutdown::new();
    // Dropping it cuts off what is still open.
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places, bounds.unread)).await {
        let Some((stream, place)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let stream = TokioIo::new(Unread::new(stream, bounds.unread));
        let connection = open.watch(http.serve_connection(stream, service));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection broke");
            }
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if tokio::time::timeout(bounds.finish, open.shutdown()).await.is_err() {
        warn!("requests that were still open after {:?} are cut off", bounds.finish);
    }
    Ok(())
}

/// The next connection, once there is a place for it; `None` if it was gone before it was taken.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    unread: Duration,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small: none should wait for the acknowledgement of the one before.
            let _slower_then = stream.set_nodelay(true);
            let _longer_then = leave_who_is_gone(&stream, unread);
            Some((stream, place))
        }
        Err(error) => {
            warn!(%error, "a connection could not be taken");
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            None
        }
    }
}

/// Has the system end a connection whose other end acknowledges nothing for so long: who is gone for good, or lies in a
/// bag with its lid closed, leaves room in the system's own buffers for hours of a live stream.
#[cfg(target_os = "linux")]
fn leave_who_is_gone(stream: &TcpStream, unread: Duration) -> std::io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(unread))
}

/// Elsewhere it lasts as long as TCP tries again.
#[cfg(not(target_os = "linux"))]
const fn leave_who_is_gone(_: &TcpStream, _: Duration) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::oneshot,
        time::timeout,
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// One place: each has it only once the one before was closed.
    fn bounds() -> Bounds {
        Bounds { connections: 1, idle: SOON, unread: SOON, finish: Duration::from_secs(5) }
    }

    /// Answers while `asked` asks.
    async fn while_served<F: Future>(router: Router, bounds: Bounds, asked: impl FnOnce(SocketAddr) -> F) {
        let (listener, address) = bind(([127, 0, 0, 1], 0).into(), "listen.http").await.unwrap();
        let stop = CancellationToken::new();
        let served = serve(listener, router, bounds, stop.clone());
        let asked = async {
            asked(address).await;
            stop.cancel();
        };
        let (served, ()) = tokio::join!(served, asked);
        served.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_sends_nothing_or_no_more_is_closed() {
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let bounds = Bounds { idle: Duration::from_millis(50), ..bounds() };
        while_served(router, bounds, async |address| {
            for sent in ["", "GET / HTTP/1.1\r\nhost:", "GET / HTTP/1.1\r\nhost: test\r\n\r\n"] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(sent.as_bytes()).await.unwrap();
                let mut answer = String::new();
                let read = stream.read_to_string(&mut answer);
                timeout(SOON, read).await.expect("it is closed").unwrap();
                assert_eq!(answer.ends_with("here"), sent.ends_with("\r\n\r\n"), "{answer}");
            }
        })
        .await;
    }

    /// A stream without an end, and who is told when it is let go of.
    fn endless() -> (Body, oneshot::Receiver<()>) {
        let (held, dropped) = oneshot::channel::<()>();
        let more = stream::unfold(held, |held| async {
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 65_536])), held))
        });
        (Body::from_stream(more), dropped)
    }

    #[tokio::test]
    async fn a_client_that_stops_reading_loses_its_connection() {
        let (body, dropped) = endless();
        let body = Arc::new(parking_lot::Mutex::new(Some(body)));
        let router = Router::new()
            .route("/", axum::routing::get(move || async move { body.lock().take().unwrap_or_default() }));
        let bounds = Bounds { unread: Duration::from_millis(50), ..bounds() };
        while_served(router, bounds, async |address| {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
            // It is still connected, has said nothing wrong, and reads nothing.
            let let_go = timeout(SOON, dropped).await.expect("it is left");
            assert!(let_go.is_err(), "the stream was dropped");
            let mut next = TcpStream::connect(address).await.unwrap();
            next.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            timeout(SOON, next.read_to_string(&mut answer)).await.expect("its place is free").unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            drop(silent);
        })
        .await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_system_is_told_to_leave_who_is_gone() {
        let (listener, address) = bind(([127, 0, 0, 1], 0).into(), "listen.http").await.unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        let accepted = accept(&listener, &Arc::new(Semaphore::new(1)), Duration::from_mins(1)).await;
        let (stream, _place) = accepted.unwrap();
        let told = socket2::SockRef::from(&stream).tcp_user_timeout().unwrap();
        assert_eq!(told, Some(Duration::from_mins(1)));
    }
}
