//! A TCP port that speaks HTTP/1.1: so many connections at once, headers in time, an end in order.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service as _;

/// Answers with `routes` on at most `connections` connections at once, and at least one, until `stop` turns true and what was begun
/// is answered. Who comes when all are taken waits in the system's queue. Each request carries its peer as
/// [`ConnectInfo<SocketAddr>`]. A connection that brings no headers for 30 s is closed.
pub async fn serve(listener: TcpListener, routes: Router, connections: usize, stop: watch::Receiver<bool>) {
    let plainly = move |stream, _| std::future::ready(Some((stream, routes.clone())));
    serve_over(listener, plainly, connections, stop).await;
}

/// As [`serve`], for what comes in some wrapping: `open` makes of each TCP connection the stream that HTTP is spoken on and the
/// routes that answer there, or nothing when it is to be hung up on. It may take 10 s, and holds the connection's place.
pub async fn serve_over<O, F, S>(
    listener: TcpListener,
    open: O,
    connections: usize,
    stop: watch::Receiver<bool>,
) where
    O: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = Option<(S, Router)>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut talks = JoinSet::new();
    let mut until = pin!(stopped(stop.clone()));
    loop {
        tokio::select! {
            () = &mut until => break,
            Some(_) = talks.join_next() => {}
            (place, stream, peer) = accept(&listener, &places) => {
                let opened = open(stream, peer);
                talks.spawn(welcome(place, opened, peer, stopped(stop.clone())));
            }
        }
    }
    drop(listener);
    while talks.join_next().await.is_some() {}
}

/// Waits for the opening of a connection, then converses on it.
async fn welcome<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    place: OwnedSemaphorePermit,
    opened: impl Future<Output = Option<(S, Router)>>,
    peer: SocketAddr,
    until: impl Future<Output = ()>,
) {
    let mut until = pin!(until);
    let opened = tokio::select! {
        opened = timeout(OPENING_PATIENCE, opened) => opened.ok().flatten(),
        () = &mut until => None,
    };
    if let Some((stream, routes)) = opened {
        converse(Seated { stream, _place: place }, peer, routes, until).await;
    }
}

/// Returns when `stop` turns true, or nobody is left who could turn it.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (place, stream, peer),
            Err(error) if is_of_the_peer(&error) => {}
            // Out of file descriptors, most likely; some come back as others hang up.
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections just now");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection: request after request, until either side ends it or it is silent for too long.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    seated: Seated<S>,
    peer: SocketAddr,
    routes: Router,
    until: impl Future<Output = ()>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(seated), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        // A peer that hangs up or sends no HTTP is nothing to tell the operator.
        _ = connection.as_mut() => return,
        () = until => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A connection and its place, which is free again when the connection is gone, also as a WebSocket.
struct Seated<S> {
    stream: S,
    _place: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Seated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seated<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// For the headers of a request, from the end of the one before: who is silent for longer gives its place back.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);
/// For what a connection is wrapped in to be taken off, such as a TLS handshake.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);
/// Longest headers of a request, and most bytes of it that are read ahead.
const MAX_HEADERS: usize = 64 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIVENESS: Duration = Duration::from_secs(30);

    struct Open {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    async fn open(connections: usize) -> Open {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let routes = Router::new().route("/", get(async || "here"));
        let task = tokio::spawn(serve(listener, routes, connections, stopping));
        Open { address, stop, task }
    }

    async fn asked(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        answer(stream).await
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"here") {
            assert_ne!(timeout(LIVENESS, stream.read_buf(&mut bytes)).await.unwrap().unwrap(), 0);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_for_one() {
        let port = open(1).await;
        let mut first = TcpStream::connect(port.address).await.unwrap();
        assert!(asked(&mut first).await.starts_with("HTTP/1.1 200"));
        let mut second = TcpStream::connect(port.address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // The first is still served, so its place is not free.
        assert!(asked(&mut first).await.starts_with("HTTP/1.1 200"));
        assert_eq!(second.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
        port.stop.send_replace(true);
        drop(second);
        timeout(LIVENESS, port.task).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_finish_its_headers_is_hung_up_on() {
        let port = open(1).await;
        let mut slow = TcpStream::connect(port.address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        let mut rest = Vec::new();
        let began = tokio::time::Instant::now();
        timeout(2 * HEADER_PATIENCE, slow.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(began.elapsed() >= HEADER_PATIENCE, "not before its time: {:?}", began.elapsed());
        port.stop.send_replace(true);
        port.task.await.unwrap();
    }

    #[tokio::test]
    async fn the_end_comes_at_once_when_nothing_is_asked() {
        let port = open(2).await;
        let mut idle = TcpStream::connect(port.address).await.unwrap();
        assert!(asked(&mut idle).await.starts_with("HTTP/1.1 200"));
        port.stop.send_replace(true);
        timeout(LIVENESS, port.task).await.unwrap().unwrap();
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "it is closed in order");
    }
}
