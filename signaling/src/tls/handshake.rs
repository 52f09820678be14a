//! What becomes of a new connection on the HTTPS port: TLS, plain HTTP from this machine, or a hint that HTTPS is wanted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{HOST, STRICT_TRANSPORT_SECURITY};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Router};
use rustls::server::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::tls::certificate::{ACME_PROTOCOL, Certificates, provider};

/// A stream that HTTP is spoken on.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// In the extensions of a request that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Doorman {
    acceptor: TlsAcceptor,
    secure: Router,
    plain: Router,
    hint: Router,
}

impl Doorman {
    /// For `routes`; `strict` tells browsers to come by HTTPS alone from now on, which must not be said of a household CA:
    /// a device that no longer trusts it could not even read why. `acme` answers the CA's look at a domain.
    pub(super) fn new(
        certificates: Arc<Certificates>,
        routes: &Router,
        strict: bool,
        acme: bool,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if acme {
            config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
        }
        let mut secure = routes.clone().layer(Extension(OverTls));
        if strict {
            secure = secure.layer(middleware::map_response(only_https));
        }
        let hint = Router::new().fallback(come_by_https);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, secure, plain: routes.clone(), hint })
    }

    /// Opens one connection; nothing when it is to be hung up on.
    pub(crate) async fn open(self, stream: TcpStream, peer: SocketAddr) -> Option<(Box<dyn Wire>, Router)> {
        let mut first = [0; 1];
        if stream.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first[0] != TLS_HANDSHAKE {
            // What stays on this machine needs no TLS, and browsers count it as secure.
            let here = peer.ip().to_canonical().is_loopback();
            return Some((Box::new(stream), if here { self.plain } else { self.hint }));
        }
        let secured = match self.acceptor.accept(stream).await {
            Ok(secured) => secured,
            Err(error) => {
                tracing::debug!(%error, "no TLS with a peer");
                return None;
            }
        };
        // The CA has seen what it wanted with the handshake.
        let proven = secured.get_ref().1.alpn_protocol() == Some(ACME_PROTOCOL);
        (!proven).then(|| (Box::new(secured) as Box<dyn Wire>, self.secure))
    }
}

async fn only_https(mut response: Response) -> Response {
    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    response
}

/// A person who typed the address is led on. A program is not: it would send what is secret in the clear each time.
async fn come_by_https(request: Request) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let bears = request.headers().contains_key(axum::http::header::AUTHORIZATION);
    match host {
        Some(host) if !bears && [Method::GET, Method::HEAD].contains(request.method()) => {
            Redirect::permanent(&format!("https://{host}{path}")).into_response()
        }
        _ => {
            (StatusCode::FORBIDDEN, "this port speaks HTTPS: write https:// in the address\n").into_response()
        }
    }
}

/// The first byte of every TLS connection (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;
