//! One request and its answer, as the operator of a server can read and change them.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use latchkey_api::id::DeviceId;
use latchkey_api::problem::{Problem, ProblemCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request on its way to the server.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query, without the question mark.
    pub query: String,
    /// The device whose token it carries.
    pub device: Option<DeviceId>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Ask {
    /// Returns whether it is of this method and path; `*` stands for one part of the path.
    #[must_use]
    pub fn is(&self, method: &str, route: &str) -> bool {
        let fits = |(part, wanted): (&str, &str)| wanted == "*" || part == wanted;
        self.method == method
            && self.path.split('/').count() == route.split('/').count()
            && self.path.split('/').zip(route.split('/')).all(fits)
    }

    /// Returns whether this device sent it.
    #[must_use]
    pub fn is_from(&self, device: DeviceId) -> bool {
        self.device == Some(device)
    }

    /// Returns the number that the query has under `after`, 0 without.
    #[must_use]
    pub fn after(&self) -> u64 {
        let after = self.query.split('&').find_map(|pair| pair.strip_prefix("after="));
        after.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Reads the body, where it is JSON of this kind.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Puts another body in.
    pub fn set_json<T: Serialize>(&mut self, body: &T) {
        self.body = encoded(body);
        self.headers.remove(header::CONTENT_LENGTH);
    }
}

/// An answer on its way to a device.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// An answer with this status and JSON.
    #[must_use]
    pub fn of<T: Serialize>(status: StatusCode, body: &T) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { status, headers, body: encoded(body) }
    }

    /// An answer that refuses with this code.
    #[must_use]
    pub fn refusal(status: StatusCode, code: ProblemCode) -> Self {
        Self::of(status, &Problem::new(code, "so says a server that cheats"))
    }

    /// Reads the body, where it is JSON of this kind.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Puts another body in.
    pub fn set_json<T: Serialize>(&mut self, body: &T) {
        self.body = encoded(body);
        self.headers.remove(header::CONTENT_LENGTH);
    }
}

fn encoded<T: Serialize>(body: &T) -> Bytes {
    serde_json::to_vec(body).expect("types of the wire are JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_known_part_by_part() {
        let ask = Ask {
            method: Method::GET,
            path: "/v1/groups/abc/messages".to_owned(),
            query: "x=1&after=17".to_owned(),
            device: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        assert!(ask.is("GET", "/v1/groups/*/messages"));
        assert!(!ask.is("POST", "/v1/groups/*/messages"));
        assert!(!ask.is("GET", "/v1/groups/*"));
        assert_eq!(ask.after(), 17);
    }
}
