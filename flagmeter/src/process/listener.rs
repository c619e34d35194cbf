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
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let Some((stream, place)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
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
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small: none should wait for the acknowledgement of the one before.
            let _slower_then = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            warn!(%error, "a connection could not be taken");
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_sends_nothing_or_no_more_is_closed() {
        let (listener, address) = bind(([127, 0, 0, 1], 0).into(), "listen.http").await.unwrap();
        let bounds =
            Bounds { connections: 1, idle: Duration::from_millis(50), finish: Duration::from_secs(5) };
        let stop = CancellationToken::new();
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let served = serve(listener, router, bounds, stop.clone());
        let asked = async {
            // There is one place: each has it only once the one before was closed.
            for sent in ["", "GET / HTTP/1.1\r\nhost:", "GET / HTTP/1.1\r\nhost: test\r\n\r\n"] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(sent.as_bytes()).await.unwrap();
                let mut answer = String::new();
                let read = stream.read_to_string(&mut answer);
                tokio::time::timeout(Duration::from_secs(10), read).await.expect("it is closed").unwrap();
                assert_eq!(answer.ends_with("here"), sent.ends_with("\r\n\r\n"), "{answer}");
            }
            stop.cancel();
        };
        let (served, ()) = tokio::join!(served, asked);
        served.unwrap();
    }
}
