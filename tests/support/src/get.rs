//! A plain HTTP GET, for health and metrics.

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use crate::Error;

/// Status and body of the answer to a GET of `url`.
///
/// # Errors
/// When there is no answer.
pub async fn http_get(url: &str) -> Result<(u16, String), Error> {
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(url.parse()?).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
