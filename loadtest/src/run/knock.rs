//! Whether a server still answers: a bounded request at its own address, to which any answer will do.

use std::error::Error;
use std::io;
use std::time::Duration;

use url::Url;

/// Knocks at one server's door.
#[derive(Clone, Debug)]
pub(crate) struct Knock {
    http: reqwest::Client,
    url: Url,
}

/// What came of a knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody answered, whatever it was.
    Answer,
    /// Nobody listens there any more.
    Refusal,
    /// No answer in time: nobody is there, or somebody who is too busy.
    Silence,
}

impl Knock {
    /// Returns one for the server at this address; none where not even now, at the beginning, it answers to this.
    pub(crate) async fn at(mut url: Url) -> Option<Self> {
        url.set_path("/");
        url.set_query(None);
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            // A connection of before would tell of before.
            .pool_max_idle_per_host(0)
            .build()
            .ok()?;
        let knock = Self { http, url };
        (knock.knock().await == Heard::Answer).then_some(knock)
    }

    /// Knocks once; takes at most 2 s.
    pub(crate) async fn knock(&self) -> Heard {
        match self.http.get(self.url.clone()).send().await {
            Ok(_) => Heard::Answer,
            Err(error) if is_refused(&error) => Heard::Refusal,
            Err(_) => Heard::Silence,
        }
    }
}

fn is_refused(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_who_is_gone_is_told_from_one_who_is_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/whep/7?x=1", listener.local_addr().unwrap())).unwrap();
        let (served, listener) = tokio::join!(Knock::at(url), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET / HTTP/1.1"));
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            listener
        });
        let knock = served.expect("an answer of any kind");
        // The kernel takes the connection, and nobody reads it: as of a process that stands still.
        assert_eq!(knock.knock().await, Heard::Silence);
        drop(listener);
        assert_eq!(knock.knock().await, Heard::Refusal);
    }
}
