//! The sockets of a peer connection, with a breath after each DTLS datagram.
//!
//! `webrtc` 0.21.1 reads up to 64 datagrams in one go and installs the SRTP keys only after that, so media
//! that comes right behind the last DTLS flight is dropped. A relay sends the picture's history exactly
//! then, and nobody would ever ask for it again: repairs are asked for behind the first packet seen only.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    TokioRuntime, Transmit,
};

/// Tokio, with our sockets.
#[derive(Debug)]
pub(super) struct BreathingRuntime;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for BreathingRuntime {
    fn spawn(&self, future: BoxFuture<'static, ()>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Arc::new(BreathingSocket { socket, breath: AtomicBool::new(false) }))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(&'a self, remote: SocketAddr) -> BoxFuture<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        TokioRuntime.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        TokioRuntime.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio"
    }
}

#[derive(Debug)]
struct BreathingSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    /// The last datagram was DTLS: the next read has to wait for one turn.
    breath: AtomicBool,
}

impl AsyncUdpSocket for BreathingSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.breath.swap(false, Ordering::Relaxed) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = self.socket.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(1..)) = read
            && bufs.first().and_then(|bytes| bytes.first()).is_some_and(|first| DTLS.contains(first))
        {
            self.breath.store(true, Ordering::Relaxed);
        }
        read
    }

    fn max_gso_segments(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.socket.max_gro_segments()
    }
}

/// First bytes of DTLS records (RFC 9443).
const DTLS: std::ops::RangeInclusive<u8> = 20..=63;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    /// Gives out datagrams that are there already.
    #[derive(Debug)]
    struct Full(Mutex<VecDeque<u8>>);

    impl AsyncUdpSocket for Full {
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(SocketAddr::from(([127, 0, 0, 1], 9)))
        }

        fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(transmit.contents.len()))
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            bufs: &mut [IoSliceMut<'_>],
            _: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            match self.0.lock().unwrap().pop_front() {
                Some(first) => {
                    bufs[0][0] = first;
                    Poll::Ready(Ok(1))
                }
                None => Poll::Pending,
            }
        }
    }

    #[test]
    fn what_follows_a_dtls_datagram_waits_for_the_next_turn() {
        let (stun, dtls, rtp) = (1, 22, 128);
        let inner = Full(Mutex::new(VecDeque::from([stun, rtp, dtls, rtp, rtp, dtls, dtls])));
        let socket = BreathingSocket { socket: Arc::new(inner), breath: AtomicBool::new(false) };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut turns = Vec::new();
        for _ in 0..10 {
            let mut byte = [0];
            let read =
                socket.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut byte)], &mut [RecvMeta::default()]);
            turns.push(matches!(read, Poll::Ready(Ok(1))).then_some(byte[0]));
        }
        let expected = [
            Some(stun),
            Some(rtp),
            Some(dtls),
            None,
            Some(rtp),
            Some(rtp),
            Some(dtls),
            None,
            Some(dtls),
            None,
        ];
        assert_eq!(turns, expected);
    }
}
