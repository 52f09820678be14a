//! Keeps every byte that goes into a server and comes out of it, so that it can be searched afterwards.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What was kept: one run of bytes for each direction of each connection, or of a datagram socket.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Vec<u8>>>>);

/// One run of a [`Recorder`].
#[derive(Debug, Clone)]
pub struct Run {
    recorder: Recorder,
    index: usize,
}

impl Recorder {
    /// Begins a run.
    #[must_use]
    pub fn run(&self) -> Run {
        let mut runs = self.lock();
        runs.push(Vec::new());
        Run { recorder: self.clone(), index: runs.len() - 1 }
    }

    /// Returns a copy of all runs.
    #[must_use]
    pub fn runs(&self) -> Vec<Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Appends what came.
    pub fn keep(&self, bytes: &[u8]) {
        if let Some(run) = self.recorder.lock().get_mut(self.index) {
            run.extend_from_slice(bytes);
        }
    }
}

/// A TCP port of 127.0.0.1 that carries every connection to a server, byte by byte, and keeps both directions. It takes
/// no new connection after it is dropped; those that are there end with their clients.
#[derive(Debug)]
pub struct TcpFront {
    address: SocketAddr,
    server: Arc<OnceLock<SocketAddr>>,
    stopped: Arc<AtomicBool>,
}

impl TcpFront {
    /// Binds a port and starts. Until [`forward_to`](Self::forward_to) every connection is closed at once.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(recorder: &Recorder) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (server, stopped) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
        let (to, until, recorder) = (Arc::clone(&server), Arc::clone(&stopped), recorder.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                // A client that is gone already, or a server that is away: this connection ends, the next may work.
                if let (Ok(client), Some(server)) = (client, to.get()) {
                    let _ = carry(client, *server, &recorder);
                }
            }
        });
        Ok(Self { address, server, stopped })
    }

    /// Returns where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Names the server; the first name counts.
    pub fn forward_to(&self, server: SocketAddr) {
        let _ = self.server.set(server);
    }
}

impl Drop for TcpFront {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Starts one thread for each direction.
fn carry(client: TcpStream, server: SocketAddr, recorder: &Recorder) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let ways = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (from, to) in ways {
        let run = recorder.run();
        std::thread::spawn(move || {
            // Either side ending is the end of this direction.
            let _ = copy(&from, &to, &run);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, run: &Run) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        run.keep(&buffer[..len]);
        to.write_all(&buffer[..len])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_is_the_same_and_is_kept() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let recorder = Recorder::default();
        let front = TcpFront::start(&recorder).expect("a port");
        front.forward_to(echo.local_addr().expect("its address"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().expect("a client");
            let mut asked = Vec::new();
            stream.read_to_end(&mut asked).expect("a question");
            stream.write_all(b"answer").expect("the client is there");
            asked
        });
        let mut client = TcpStream::connect(front.address()).expect("the front is there");
        client.write_all(b"question").expect("the front takes it");
        client.shutdown(Shutdown::Write).expect("half is closed");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer");
        assert_eq!(
            (server.join().expect("it ends").as_slice(), answer.as_slice()),
            (&b"question"[..], &b"answer"[..])
        );
        let mut runs = recorder.runs();
        runs.sort();
        assert_eq!(runs, [b"answer".to_vec(), b"question".to_vec()]);
    }
}
