//! `GET /openapi.json`: the description of the whole API, as it is checked in.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use openapi::DOCUMENT;
use shared::http::{ETag, IfNoneMatch};

use super::jwks::CACHE;

/// The same in every sandbox, and another when the document is.
static VERSION: LazyLock<u64> = LazyLock::new(|| {
    let digest = digest(&SHA256, DOCUMENT.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |version, byte| version << 8 | u64::from(*byte))
});

/// The document, unless the client has it.
pub(crate) async fn get(known: IfNoneMatch) -> Response {
    let headers = (ETag(*VERSION), [(CACHE_CONTROL, CACHE)]);
    if known.allows_current(Some(*VERSION)) {
        (headers, [(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
    } else {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use shared::testing::call;

    use super::*;
    use crate::testing::App;

    #[tokio::test]
    async fn who_has_the_description_is_not_sent_it_again() {
        let app = App::new().await;
        let first = app.get("/openapi.json").await.expect(StatusCode::OK);
        assert_eq!(first.json["openapi"], "3.1.0");
        let version = first.headers["etag"].to_str().unwrap();
        let again = call(Method::GET, "/openapi.json").header("if-none-match", version);
        let _same = again.send(&app.router).await.expect(StatusCode::NOT_MODIFIED);
    }
}
