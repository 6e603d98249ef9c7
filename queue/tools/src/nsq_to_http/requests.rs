//! Sending messages over HTTP.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Method};
use rustls::ClientConfig;

use super::options::{DEFAULT_CONTENT_TYPE, RequestArgs};
use super::target::Target;

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// No connection, or no answer in time.
    #[error("the request failed")]
    Failed(#[from] reqwest::Error),
    /// The answer says no.
    #[error("got status code {0}")]
    Status(u16),
}

/// Headers that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not `name: value`, or with bytes that are not allowed there.
    #[error("{given:?} is not a header: it is written as `name: value`")]
    Malformed {
        /// What was given.
        given: String,
    },
    /// A GET has no content.
    #[error("--content-type only used with --post")]
    NoContent,
}

/// Sends messages, each in a request of its own.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    client: Client,
    headers: HeaderMap,
}

impl Requests {
    pub(super) fn new(client: Client, headers: HeaderMap) -> Self {
        Self { client, headers }
    }

    /// Sends a message, and waits for the answer.
    pub(super) async fn send(&self, target: &Target, body: Bytes) -> Result<(), RequestError> {
        let url = target.url(&body);
        let request = match target {
            Target::Post { .. } => self.client.request(Method::POST, url).body(body),
            Target::Get { .. } => self.client.request(Method::GET, url),
        };
        // Our own after those of the user would come twice.
        let mut response = request.headers(self.headers.clone()).send().await?;
        let status = response.status().as_u16();
        // The rest is read so that the connection can be used again; what it says does not matter.
        while let Ok(Some(_)) = response.chunk().await {}
        if target.accepts(status) { Ok(()) } else { Err(RequestError::Status(status)) }
    }
}

/// A client with the time-outs asked for.
pub(super) fn client(args: &RequestArgs, tls: ClientConfig) -> Result<Client, reqwest::Error> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(args.http_client_connect_timeout)
        .timeout(args.http_client_request_timeout)
        // As the original, which asks no proxy either.
        .no_proxy()
        .build()
}

/// The headers of every request; those that are given replace our own.
pub(super) fn headers(args: &RequestArgs) -> Result<HeaderMap, HeaderError> {
    let is_post = !args.posts.is_empty();
    if !is_post && args.content_type != DEFAULT_CONTENT_TYPE {
        return Err(HeaderError::NoContent);
    }
    let mut headers = HeaderMap::new();
    let agent = concat!("nsq_to_http v", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if is_post {
        let given = &args.content_type;
        headers.insert(
            CONTENT_TYPE,
            value(given).filter(|_| !given.is_empty()).ok_or_else(|| malformed(given))?,
        );
    }
    let mut given_headers = HeaderMap::new();
    for given in &args.headers {
        let (name, text) = given.split_once(':').ok_or_else(|| malformed(given))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| malformed(given))?;
        given_headers.append(name, value(text).ok_or_else(|| malformed(given))?);
    }
    headers.extend(given_headers);
    Ok(headers)
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text.trim()).ok()
}

fn malformed(given: &str) -> HeaderError {
    HeaderError::Malformed { given: given.to_owned() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: RequestArgs,
    }

    fn parsed(arguments: &[&str]) -> Result<String, HeaderError> {
        let arguments = [&["nsq_to_http"], arguments].concat();
        let headers = headers(&Command::parse_from(arguments).args)?;
        let lines: Vec<_> = headers
            .iter()
            .filter(|(name, _)| **name != USER_AGENT)
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        Ok(lines.join(", "))
    }

    #[test]
    fn headers_are_added_to_our_own_or_replace_them() {
        let post = "--post=http://h/";
        assert_eq!(parsed(&[post]).unwrap(), "content-type: application/octet-stream");
        assert_eq!(parsed(&[post, "--content-type=text/plain"]).unwrap(), "content-type: text/plain");
        let replaced = parsed(&[post, "--header=Content-Type:  a/b", "--header=X-A: 1", "--header=X-A:2:3"]);
        assert_eq!(replaced.unwrap(), "content-type: a/b, x-a: 1, x-a: 2:3");
        assert_eq!(parsed(&["--get=http://h/%s"]).unwrap(), "");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused() {
        let post = "--post=http://h/";
        for given in ["no colon", "a b: c", "x: \u{7f}\n"] {
            let refused = parsed(&[post, &format!("--header={given}")]);
            assert_eq!(refused.unwrap_err(), HeaderError::Malformed { given: given.to_owned() });
        }
        let refused = parsed(&["--get=http://h/%s", "--content-type=text/plain"]);
        assert_eq!(refused.unwrap_err(), HeaderError::NoContent);
        let empty = parsed(&[post, "--content-type="]);
        assert_eq!(empty.unwrap_err(), HeaderError::Malformed { given: String::new() });
    }
}
