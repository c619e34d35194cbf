//! Listening within bounds, and finishing open requests before the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
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
pub(super) struct Bounds {
    /// Connections at a time; further ones wait to be taken.
    pub(super) connections: usize,
    /// How long a connection may go without the head of a request.
    pub(super) idle: Duration,
    /// How long open requests may take to finish once it is told to stop.
    pub(super) finish: Duration,
}

/// Takes an address; `setting` names it where it cannot be had.
pub(super) async fn bind(address: SocketAddr, setting: &'static str) -> Result<(TcpListener, SocketAddr)> {
    let refused = |reason| Error::Listen { address, setting, reason };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Answers until `stop`; then takes no new requests and finishes those that are open, within bounds.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(bounds.connections.min(Semaphore::MAX_PERMITS)));
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(bounds.idle);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(bounds.idle);
    let open = GracefulShutdown::new();
    // Dropping it cuts off what is still open.
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let Some((stream, place)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
        connections.spawn(async move {
            if let Err(error) = connection.await {
                debug!(error, "a connection broke");
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
