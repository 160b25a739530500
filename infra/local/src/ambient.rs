//! The one place in this tool that reads the clock and makes random ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// An id that no other request has, in the shape of API Gateway's.
pub(crate) fn request_id() -> String {
    let mut bytes = [0; 12];
    // Ids that repeat are a nuisance in a log and no more: no reason to fail.
    let _no_randomness = aws_lc_rs::rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What nobody can guess.
pub(crate) fn secret() -> String {
    let mut bytes = [0; 48];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}
