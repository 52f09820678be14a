//! Requests by the browser's fetch: what it may reach, and by which way, is the browser's to say.

use bytes::Bytes;
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestInit, Response};

use crate::address::Url;
use crate::clock::timeout;
use crate::signaling::SignalingError;
use crate::signaling::http::{REPLY_LIMIT, Reply, retry_after};

#[wasm_bindgen]
extern "C" {
    // The global one: of a page, of a worker and of node.
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signaling) struct Method(&'static str);

impl Method {
    pub(in crate::signaling) const DELETE: Self = Self("DELETE");
    pub(in crate::signaling) const GET: Self = Self("GET");
    pub(in crate::signaling) const POST: Self = Self("POST");
}

/// The browser.
#[derive(Clone, Debug)]
pub(in crate::signaling) struct Http;

impl Http {
    pub(in crate::signaling) fn new(_: &Url) -> Result<Self, SignalingError> {
        Ok(Self)
    }

    /// Sends a request, with a body in JSON where there is one. Fails with the reason when nobody answers.
    pub(in crate::signaling) async fn exchange(
        &self,
        method: Method,
        url: Url,
        token: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, String> {
        let ending = Ending(AbortController::new().map_err(|error| words(&error))?);
        let init = request(method, token, body, &ending).map_err(|error| words(&error))?;
        match timeout(REPLY_LIMIT, reply(url.as_str(), &init)).await {
            Ok(replied) => replied.map_err(|error| words(&error)),
            Err(_) => Err("no reply in time".to_owned()),
        }
    }
}

/// Ends a request that nobody waits for any more.
struct Ending(AbortController);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(
    method: Method,
    token: Option<&str>,
    body: Option<Vec<u8>>,
    ending: &Ending,
) -> Result<RequestInit, JsValue> {
    let headers = Headers::new()?;
    if let Some(token) = token {
        headers.set("authorization", &format!("Bearer {token}"))?;
    }
    let init = RequestInit::new();
    if let Some(body) = body {
        headers.set("content-type", "application/json")?;
        init.set_body(&Uint8Array::from(body.as_slice()));
    }
    init.set_method(method.0);
    init.set_headers(&headers);
    init.set_signal(Some(&ending.0.signal()));
    Ok(init)
}

async fn reply(url: &str, init: &RequestInit) -> Result<Reply, JsValue> {
    let response: Response = JsFuture::from(fetch(url, init)?).await?.dyn_into()?;
    let retry_after = response.headers().get("retry-after")?.as_deref().and_then(retry_after);
    let body = Uint8Array::new(&JsFuture::from(response.array_buffer()?).await?);
    Ok(Reply { status: response.status(), retry_after, body: Bytes::from(body.to_vec()) })
}

fn words(error: &JsValue) -> String {
    let said = Reflect::get(error, &JsValue::from("message")).ok().and_then(|said| said.as_string());
    said.unwrap_or_else(|| "the browser does not say why".to_owned())
}
