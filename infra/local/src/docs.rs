//! The page that shows the API, made by Swagger UI of its description. It exists only in the local run, on Auth's port, and
//! loads nothing from elsewhere.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::middleware::map_response;
use axum::response::Response;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The service on whose port the page is; it serves the description too.
pub const SERVICE: &str = "auth";

/// The page may load its own files, and ask the API, which is on the same port. Swagger UI styles by attribute.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page, `/docs/`.
pub fn pages() -> Router {
    let config = Config::new(["/openapi.json"]).validator_url("none").persist_authorization(true);
    let with_policy = |mut response: Response| async {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
        response
    };
    Router::from(SwaggerUi::new("/docs").config(config)).layer(map_response(with_policy))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn text(path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = pages().oneshot(request).await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY));
        String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_page_shows_the_description_and_loads_nothing_from_elsewhere() {
        let page = text("/docs/").await;
        for source in page.split("src=\"").skip(1).chain(page.split("href=\"").skip(1)) {
            let source = source.split('"').next().unwrap();
            assert!(!source.contains("//"), "{source}");
        }
        assert!(!page.contains("<script>"), "the policy would not run it");
        assert!(text("/docs/swagger-initializer.js").await.contains("/openapi.json"));
    }
}
