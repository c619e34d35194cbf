//! A connection that ends when its client takes nothing of what it is sent.
//!
//! Without it, a client that stops reading holds its connection, and with it a live stream's place, for as long as TCP
//! bears it: for ever if it still answers, a quarter of an hour if it is gone.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A stream whose writes fail once nothing of them was taken for a while.
#[derive(Debug)]
pub(super) struct Unread<S> {
    stream: S,
    patience: Duration,
    /// Runs out at the end of that while. Made when there is first something to wait for.
    clock: Option<Pin<Box<Sleep>>>,
    waits: bool,
}

impl<S> Unread<S> {
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, clock: None, waits: false }
    }

    /// What came of a try to write: an error where it has been pending for too long.
    fn patiently<T>(&mut self, context: &mut Context<'_>, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.waits = false;
            return tried;
        }
        let patience = self.patience;
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !std::mem::replace(&mut self.waits, true) {
            clock.as_mut().reset(Instant::now() + patience);
        }
        clock.as_mut().poll(context).map(|()| {
            let reason = format!("its client took nothing for {patience:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, reason))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.patiently(context, tried)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.patiently(context, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_flush(context);
        self.patiently(context, tried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_shutdown(context);
        self.patiently(context, tried)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::{advance, timeout},
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_left_after_a_while() {
        let (ours, theirs) = duplex(4);
        let mut ours = Unread::new(ours, PATIENCE);
        let began = Instant::now();
        let error = ours.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "its client took nothing for 60s");
        assert_eq!(began.elapsed().as_secs(), 60);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_not_left() {
        let (ours, mut theirs) = duplex(4);
        let mut ours = Unread::new(ours, PATIENCE);
        let written = async { ours.write_all(b"more than fits").await };
        let read = async {
            let mut all = Vec::new();
            for _ in 0..14 {
                advance(Duration::from_secs(50)).await;
                all.push(theirs.read_u8().await.unwrap());
            }
            all
        };
        // Where the writer gives up, the reader waits for what never comes.
        let both = async { tokio::join!(written, read) };
        let (written, read) = timeout(Duration::from_hours(1), both).await.expect("both end");
        written.unwrap();
        assert_eq!(read, b"more than fits");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_there_is_nothing_to_send_does_not_count() {
        let (ours, mut theirs) = duplex(4);
        let mut ours = Unread::new(ours, PATIENCE);
        ours.write_all(b"1234").await.unwrap();
        advance(Duration::from_hours(1)).await;
        let (written, read) = tokio::join!(ours.write_all(b"5"), async {
            advance(Duration::from_secs(59)).await;
            theirs.read_u8().await.unwrap()
        });
        written.unwrap();
        assert_eq!(read, b'1');
    }
}
