//! `GET /analytics/dashboard`: a page that anyone may load, and that shows nothing without an admin's token.
//!
//! Its files are part of the binary. They refer to each other by relative paths, and to nothing outside.

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, StatusCode};
use shared::http::{ETag, IfNoneMatch, Path};
use shared::problem::Problem;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Nothing but our own files runs, is shown or is asked; nobody puts the page, with its password field, into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file as it is served.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

macro_rules! file {
    ($media_type:expr, $name:literal) => {
        file!($media_type, "", $name)
    };
    ($media_type:expr, $folder:literal, $name:literal) => {
        File {
            name: $name,
            media_type: $media_type,
            content: include_str!(concat!("../../dashboard/", $folder, $name)),
        }
    };
}

const PAGE: File = file!(HTML, "index.html");

const FILES: [File; 9] = [
    file!(STYLE, "dashboard.css"),
    file!(SCRIPT, "dashboard.js"),
    file!(SCRIPT, "session.js"),
    file!(SCRIPT, "controls.js"),
    file!(SCRIPT, "format.js"),
    file!(SCRIPT, "charts.js"),
    file!(SCRIPT, "figures.js"),
    file!(SCRIPT, "vendor/uplot/", "uPlot.iife.min.js"),
    file!(STYLE, "vendor/uplot/", "uPlot.min.css"),
];

impl File {
    /// The same in every sandbox, and another when the content is.
    fn version(&self) -> u64 {
        let digest = digest(&SHA256, self.content.as_bytes());
        digest.as_ref().iter().take(8).fold(0, |version, byte| version << 8 | u64::from(*byte))
    }

    fn answer(&self, known: &IfNoneMatch) -> Response {
        let version = self.version();
        let headers: [(HeaderName, &str); 4] = [
            (CACHE_CONTROL, "public, max-age=300"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        if known.allows_current(Some(version)) {
            (ETag(version), headers, [(CONTENT_TYPE, self.media_type)], self.content).into_response()
        } else {
            (StatusCode::NOT_MODIFIED, ETag(version), headers).into_response()
        }
    }
}

/// The page.
pub(crate) async fn get(known: IfNoneMatch) -> Response {
    PAGE.answer(&known)
}

/// What the page is made of.
pub(crate) async fn get_file(Path(name): Path<String>, known: IfNoneMatch) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    file.map(|file| file.answer(&known)).ok_or_else(|| Problem::not_found("The dashboard has no such file"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use shared::testing::call;

    use super::*;
    use crate::testing::App;

    async fn get(app: &App, path: &str, known: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        call(Method::GET, path).header("if-none-match", known).send_raw(&app.router).await
    }

    #[tokio::test]
    async fn anyone_gets_the_page_and_its_files_and_nothing_else_may_run_in_it() {
        let app = App::new().await;
        let files = FILES.iter().map(|file| (format!("/analytics/dashboard/{}", file.name), file));
        for (path, file) in files.chain([("/analytics/dashboard".to_owned(), &PAGE)]) {
            let (status, headers, body) = get(&app, &path, "\"1\"").await;
            assert_eq!((status, body), (StatusCode::OK, file.content.into()), "{path}");
            assert_eq!(headers["content-type"], file.media_type, "{path}");
            assert_eq!(headers["cache-control"], "public, max-age=300", "{path}");
            assert_eq!(headers["content-security-policy"], POLICY, "{path}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_that_the_browser_has_is_not_sent_again() {
        let app = App::new().await;
        let path = "/analytics/dashboard/dashboard.css";
        let (_, headers, _) = get(&app, path, "\"1\"").await;
        let tag = headers["etag"].to_str().unwrap();
        let (status, again, body) = get(&app, path, tag).await;
        assert_eq!((status, body), (StatusCode::NOT_MODIFIED, Vec::new()));
        assert_eq!(again["etag"], tag);
        let (status, page, _) = get(&app, "/analytics/dashboard", tag).await;
        assert_eq!(status, StatusCode::OK);
        assert_ne!(page["etag"], tag);
    }

    #[tokio::test]
    async fn other_files_are_not_there() {
        let app = App::new().await;
        for name in ["index.html", "nothing.js", "..%2fCargo.toml", "LICENSE", "README.md"] {
            let path = format!("/analytics/dashboard/{name}");
            let answer = call(Method::GET, &path).send(&app.router).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[test]
    fn the_page_names_no_other_host_and_runs_nothing_of_its_own() {
        for file in FILES.iter().filter(|file| !file.name.starts_with("uPlot")).chain([&PAGE]) {
            assert!(!file.content.contains("//cdn") && !file.content.contains("http"), "{}", file.name);
            assert!(!file.content.contains("innerHTML") && !file.content.contains("eval("), "{}", file.name);
        }
        assert!(!PAGE.content.contains(" style="), "the policy would refuse it");
        let used = FILES.iter().filter(|file| {
            let named = |other: &File| other.content.contains(&format!("/{}", file.name));
            named(&PAGE) || FILES.iter().any(named)
        });
        assert_eq!(used.count(), FILES.len(), "every file is asked for by another");
    }

    #[test]
    fn the_chart_library_is_the_published_one() {
        let readme = include_str!("../../dashboard/vendor/uplot/README.md");
        for file in FILES.iter().filter(|file| file.name.starts_with("uPlot")) {
            let digest = digest(&SHA256, file.content.as_bytes());
            let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            assert!(readme.contains(&format!("`{}` {hex}", file.name)), "{}", file.name);
        }
    }
}
