//! Changes that a client makes only to what it saw: `ETag`, `If-Match` and `If-None-Match` (RFC 9110 §13).

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::problem::Problem;

/// The entity tag of a resource at this version, as the header `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag(pub u64);

/// `If-Match` (§13.1.1): which versions the request may change. Everything is allowed where the header is absent; 400 where
/// it is malformed. Ask [`allows`](Self::allows) about the version that the write is then conditional on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Tags>);

/// `If-None-Match` (§13.1.2): which versions the request must not meet; `*` is "only where there is none". 400 where the
/// header is malformed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

/// What either header holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    List(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    weak: bool,
    /// What stands between the quotes.
    opaque: Vec<u8>,
}

impl IfMatch {
    /// Whether the resource may be changed that is at `version` now. A weak tag never matches.
    pub fn allows(&self, version: u64) -> bool {
        match &self.0 {
            None | Some(Tags::Any) => true,
            Some(Tags::List(tags)) => tags.iter().any(|tag| !tag.weak && tag.is(version)),
        }
    }

    /// Whether there is a resource that may be changed, at `version` or (none) not there at all.
    pub fn allows_current(&self, version: Option<u64>) -> bool {
        version.map_or(self.0.is_none(), |version| self.allows(version))
    }

    /// Whether the header names versions: the write must then be conditional on the one that was found.
    pub fn names_versions(&self) -> bool {
        matches!(self.0, Some(Tags::List(_)))
    }
}

impl IfNoneMatch {
    /// Whether the resource may be written that is at `version` now, or (none) not there. Here weak tags match too.
    pub fn allows_current(&self, version: Option<u64>) -> bool {
        match (&self.0, version) {
            (None, _) | (_, None) => true,
            (Some(Tags::Any), Some(_)) => false,
            (Some(Tags::List(tags)), Some(version)) => !tags.iter().any(|tag| tag.is(version)),
        }
    }
}

/// 412: the resource is at `version` (none: not there), which the request does not allow.
pub fn precondition_failed(version: Option<u64>) -> Problem {
    let problem = Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition-failed",
        "The resource is not as the request expects it",
    )
    .detail("It was changed, made or removed meanwhile: read it again, and decide anew");
    match version {
        Some(version) => problem.header(ETAG, ETag(version).value()),
        None => problem,
    }
}

impl ETag {
    fn value(self) -> HeaderValue {
        // Digits between quotes are a header's value.
        HeaderValue::try_from(format!("\"{}\"", self.0)).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

impl IntoResponseParts for ETag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().insert(ETAG, self.value());
        Ok(parts)
    }
}

impl IntoResponse for ETag {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

impl Tag {
    fn is(&self, version: u64) -> bool {
        self.opaque == version.to_string().as_bytes()
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_MATCH).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_NONE_MATCH).map(Self)
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    // Lines of one header are one list (§5.3).
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let malformed = || {
        Problem::bad_request(format!("{name} is * or a list of entity tags, such as \"7\" with its quotes"))
    };
    parse(&lines.join(&b','), Vec::new()).map(Some).ok_or_else(malformed)
}

fn parse(mut rest: &[u8], mut tags: Vec<Tag>) -> Option<Tags> {
    if rest.trim_ascii() == b"*" {
        return Some(Tags::Any);
    }
    loop {
        rest = rest.trim_ascii_start();
        // Empty elements of a list are to be ignored (§5.6.1.2).
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return Some(Tags::List(tags)).filter(|list| *list != Tags::List(Vec::new()));
        }
        let weak = rest.starts_with(b"W/");
        let quoted = if weak { rest.get(2..)? } else { rest }.strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let (opaque, after) = quoted.split_at_checked(end)?;
        // `etagc` (§8.8.3): visible, and no space. The quote cannot be in there.
        if !opaque.iter().all(|byte| matches!(byte, 0x21..=0x7e | 0x80..)) {
            return None;
        }
        tags.push(Tag { weak, opaque: opaque.to_vec() });
        rest = after.strip_prefix(b"\"")?.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<IfMatch> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        tags(&headers, &IF_MATCH).ok().map(IfMatch)
    }

    #[test]
    fn a_list_of_tags_allows_the_versions_that_it_names_and_no_others() {
        for (lines, allowed) in [
            (vec!["\"7\""], true),
            (vec!["\"6\", \"7\""], true),
            (vec!["\"6\"", "\"7\""], true),
            (vec![" ,\"6\" ,, \"7\" , "], true),
            (vec!["\"6,7\""], false),
            (vec!["\"07\""], false),
            (vec!["\"77\""], false),
            (vec!["\"\""], false),
            (vec!["\"ä\""], false),
            (vec!["W/\"7\""], false),
            (vec!["W/\"7\", \"7\""], true),
            (vec!["*"], true),
            (vec![" * "], true),
            (vec![], true),
        ] {
            assert_eq!(read(&lines).unwrap().allows(7), allowed, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_malformed() {
        for line in [
            "",
            " ",
            ",",
            "7",
            "\"7",
            "7\"",
            "'7'",
            "\"6\" \"7\"",
            "\"6\"\"7\"",
            "\"6 7\"",
            "\"6\"7",
            "w/\"7\"",
            "W/7",
            "W/",
            "W / \"7\"",
            "*, \"7\"",
            "\"7\", *",
            "**",
        ] {
            assert_eq!(read(&[line]), None, "{line}");
        }
        assert_eq!(read(&["*", "*"]), None);
    }

    #[test]
    fn where_nothing_is_there_a_tag_is_not_met() {
        let (absent, any) = (read(&[]).unwrap(), read(&["*"]).unwrap());
        assert!(absent.allows_current(None) && !any.allows_current(None));
        assert!(!read(&["\"0\""]).unwrap().allows_current(None));
        assert!(any.allows_current(Some(7)) && !read(&["\"6\""]).unwrap().allows_current(Some(7)));
    }

    #[test]
    fn if_none_match_is_the_opposite_and_compares_weakly() {
        let read = |line: &str| IfNoneMatch(parse(line.as_bytes(), Vec::new()));
        for (line, allowed) in [("*", false), ("\"7\"", false), ("W/\"7\"", false), ("\"6\"", true)] {
            assert_eq!(read(line).allows_current(Some(7)), allowed, "{line}");
            assert!(read(line).allows_current(None), "{line}");
        }
        assert!(IfNoneMatch(None).allows_current(Some(7)));
    }
}
