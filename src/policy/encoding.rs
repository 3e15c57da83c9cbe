//! Percent-encoding, the wrapping in which IAM hands out policy documents.
//!
//! Promise: [`percent_decode`] undoes exactly one [`percent_encode`] and nothing else. It must
//! not know what the text means, and it is never used on a desired document: decoding text that
//! was not encoded would change it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The bytes behind a percent-encoded text are not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the percent-encoded text is not UTF-8 from byte {valid_up_to} on")]
pub struct NotUtf8 {
    /// How many decoded bytes are good.
    pub valid_up_to: usize,
}

/// Decodes a text as RFC 3986 has it, and as IAM's API says of the documents in its answers
/// (`GetRole`, `GetRolePolicy`: "URL-encoded compliant with RFC 3986").
///
/// A `+` stays a plus: only HTML forms make it a space. A `%` that two hexadecimal digits do
/// not follow stands for itself.
///
/// # Errors
/// When the decoded bytes are not UTF-8.
pub fn percent_decode(text: &str) -> Result<String, NotUtf8> {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(error) => Err(NotUtf8 { valid_up_to: error.valid_up_to() }),
    }
}

/// Encodes every character that RFC 3986 does not call unreserved.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
