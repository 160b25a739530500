//! Form-encoded bodies, as OAuth has them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::extract::{FromRequest, Request};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::extract::read;
use crate::oauth::{Code, OAuthError};
use crate::problem::Problem;

/// The parameters of an `application/x-www-form-urlencoded` body: 415 for another content type, 413 over
/// [`BODY_LIMIT`](super::BODY_LIMIT), `invalid_request` for a parameter that comes twice. One without a value is as if it
/// were not there; whoever reads them ignores those that it does not know (RFC 6749 §3.2). Not `Debug`: among them are tokens
/// and secrets.
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// The parameter's value, where it has one.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The parameter's value; where it has none, `invalid_request` with the description `otherwise`.
    pub fn required(&self, name: &str, otherwise: &'static str) -> Result<&str, OAuthError> {
        self.optional(name).ok_or_else(|| Code::InvalidRequest.because(otherwise))
    }

    fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            match parameters.entry(name.into_owned()) {
                Entry::Vacant(free) => free.insert(value.into_owned()),
                Entry::Occupied(_) => {
                    return Err(Code::InvalidRequest.because("A parameter is there more than once"));
                }
            };
        }
        Ok(Self(parameters))
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The content type is not supported",
            );
            return Err(problem
                .detail("Send a form with Content-Type: application/x-www-form-urlencoded")
                .into());
        }
        Self::parse(&read(request.into_body()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_one_without_a_value_is_none() {
        let form = Form::parse(b"token=a%2Bb+c&scope=&token_type_hint").ok().unwrap();
        assert_eq!(form.optional("token"), Some("a+b c"));
        for name in ["scope", "token_type_hint", "client_id"] {
            assert_eq!(form.optional(name), None, "{name}");
        }
    }

    #[test]
    fn a_parameter_that_comes_twice_is_refused_known_or_not_empty_or_not() {
        for body in ["token=a&token=a", "token=a&token=", "x=1&token=a&x=2", "t%6Fken=a&token=b"] {
            let refused = Form::parse(body.as_bytes()).err().unwrap();
            let OAuthError::Protocol { code, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(code, Code::InvalidRequest, "{body}");
        }
    }
}
