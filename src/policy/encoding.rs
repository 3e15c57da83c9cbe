//! Percent-encoding, the form in which IAM returns policy documents.
//!
//! Promise: [`percent_decode`] reverses exactly one [`percent_encode`] and nothing else. Must not know: what the text
//! means. Never decode a desired document: decoding text that was not encoded would change it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The decoded bytes are not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the percent-encoded text is not UTF-8 from byte {valid_up_to} on")]
pub struct NotUtf8 {
    /// The length of the valid prefix, in bytes.
    pub valid_up_to: usize,
}

/// Decodes a text by RFC 3986, as IAM's API documents it for its answers (`GetRole`, `GetRolePolicy`: "URL-encoded
/// compliant with RFC 3986").
///
/// A `+` stays a plus: only HTML forms make it a space. A `%` without two hexadecimal digits after it stands for
/// itself.
///
/// # Errors
/// When the decoded bytes are not UTF-8.
pub fn percent_decode(text: &str) -> Result<String, NotUtf8> {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(error) => Err(NotUtf8 { valid_up_to: error.valid_up_to() }),
    }
}

/// Encodes every character that is not unreserved in RFC 3986.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
