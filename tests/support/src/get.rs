//! Plain HTTP: a GET for health and metrics, a POST for etcd.

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::Error;

/// Status and body of the answer to a GET of `url`.
///
/// # Errors
/// When there is no answer.
pub async fn http_get(url: &str) -> Result<(u16, String), Error> {
    ask(Request::get(url).body(Full::default())?).await
}

/// Status and body of the answer to a POST of this text to `url`.
///
/// # Errors
/// When there is no answer.
pub(crate) async fn http_post(url: &str, text: String) -> Result<(u16, String), Error> {
    ask(Request::post(url).body(Full::from(text))?).await
}

async fn ask(request: Request<Full<Bytes>>) -> Result<(u16, String), Error> {
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
