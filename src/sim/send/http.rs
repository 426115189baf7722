//! Messages as bodies of POST requests, over a connection that stays open.

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Uri,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::line::UNREACHABLE;

/// Where requests go.
#[derive(Clone)]
pub(super) struct Target {
    host: String,
    port: u16,
    authority: HeaderValue,
    path: Uri,
    key: Option<HeaderValue>,
}

/// An open connection.
pub(super) struct Poster {
    target: Target,
    sender: SendRequest<Full<Bytes>>,
}

impl Target {
    pub(super) fn parse(url: &str, key: Option<String>) -> Result<Self, &'static str> {
        let url: Uri = url.parse().map_err(|_| "--endpoint is not a URL")?;
        if url.scheme_str() != Some("http") {
            return Err("--endpoint must begin with http://; this tool speaks no TLS");
        }
        let authority = url.authority().ok_or("--endpoint names no host")?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "not fit for a header");
        let key = key.map(|key| value(&key)).transpose()?.map(|mut key| {
            key.set_sensitive(true);
            key
        });
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: value(authority.as_str())?,
            path: path.parse().map_err(|_| "--endpoint is not a URL")?,
            key,
        })
    }

    pub(super) async fn open(&self) -> Result<Poster, &'static str> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|_| UNREACHABLE)?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| UNREACHABLE)?;
        // It ends with the sender; what went wrong shows at the next request.
        TaskTracker::new().spawn(connection);
        Ok(Poster { target: self.clone(), sender })
    }
}

impl Poster {
    /// Posts a message and returns the body of the answer. Errors: a status that is not a success, by its number.
    pub(super) async fn post(&mut self, message: &[u8]) -> Result<Bytes, &'static str> {
        let mut request = Request::post(self.target.path.clone())
            .header(HOST, self.target.authority.clone())
            .header(CONTENT_TYPE, "application/hl7-v2");
        if let Some(key) = &self.target.key {
            request = request.header("x-api-key", key.clone());
        }
        let body = Full::new(Bytes::copy_from_slice(message));
        let request = request.body(body).map_err(|_| "not a request")?;
        self.sender.ready().await.map_err(|_| "closed")?;
        let answer = self.sender.send_request(request).await.map_err(|_| "closed")?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|_| "closed")?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refusal(status.as_u16())) }
    }
}

fn refusal(status: u16) -> &'static str {
    match status {
        400 => "HTTP 400",
        401 => "HTTP 401",
        403 => "HTTP 403",
        404 => "HTTP 404",
        413 => "HTTP 413",
        415 => "HTTP 415",
        422 => "HTTP 422",
        429 => "HTTP 429",
        503 => "HTTP 503",
        500..=599 => "HTTP 5xx",
        _ => "HTTP, other status",
    }
}
