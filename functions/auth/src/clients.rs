//! Who calls the OAuth endpoints (RFC 6749 §2.3): our own shop front, which has no secret, or a client that an operator made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared::http::Form;
use shared::oauth::{Code, OAuthError};

use crate::State as App;
use crate::model::client::{ClientId, SHOP, SecretHash};
use crate::security::Event;

/// What a request says about its client. Not `Debug`: it holds a secret.
struct Credentials {
    client_id: Option<String>,
    secret: Option<String>,
}

/// Lets our own shop front pass, which may name itself and has nothing to prove itself with.
pub(crate) fn public(headers: &HeaderMap, form: &Form) -> Result<(), OAuthError> {
    let credentials = Credentials::read(headers, form)?;
    if credentials.client_id.is_some_and(|client_id| client_id != SHOP) || credentials.secret.is_some() {
        Event::ClientRefused.entry().because("not_public").log();
        return Err(Code::InvalidClient.because("This endpoint has one client, which is public: shop"));
    }
    Ok(())
}

/// The client that proves itself by its secret, by HTTP Basic or in the body. Whether there is one of this name or not, the work is one read and one hash;
/// only for a name that no client can have there is nothing to read, which is no secret.
pub(crate) async fn confidential(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
) -> Result<ClientId, OAuthError> {
    let Credentials { client_id: Some(client_id), secret: Some(secret) } = Credentials::read(headers, form)?
    else {
        Event::ClientRefused.entry().because("no_credentials").log();
        return Err(Code::InvalidClient.because("The client must authenticate: by HTTP Basic or in the body"));
    };
    let client = match ClientId::try_from(client_id) {
        Ok(client_id) => app.accounts.client(&client_id).await?,
        Err(_) => None,
    };
    let hash = client.as_ref().map_or_else(SecretHash::nobodys, |client| client.secret_hash.clone());
    let matches = hash.matches(&secret);
    match client {
        Some(client) if matches => return Ok(client.client_id),
        Some(client) => {
            Event::ClientRefused.entry().client(client.client_id.as_str()).because("wrong_secret").log();
        }
        None => Event::ClientRefused.entry().because("unknown_client").log(),
    }
    Err(Code::InvalidClient.because("The client_id or the client_secret is wrong"))
}

impl Credentials {
    /// By HTTP Basic or by parameters of the body, never both (RFC 6749 §2.3). The client's name alone may stand in the
    /// body beside HTTP Basic: it proves nothing.
    fn read(headers: &HeaderMap, form: &Form) -> Result<Self, OAuthError> {
        let named = form.optional("client_id").map(str::to_owned);
        let secret = form.optional("client_secret").map(str::to_owned);
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let Some(header) = authorization.next() else { return Ok(Self { client_id: named, secret }) };
        if secret.is_some() || authorization.next().is_some() {
            return Err(Code::InvalidRequest.because("The client must authenticate in one way only"));
        }
        let Some((client_id, secret)) = header.to_str().ok().and_then(basic) else {
            Event::ClientRefused.entry().because("malformed_credentials").log();
            return Err(Code::InvalidClient.because("The Authorization header is not HTTP Basic"));
        };
        if named.is_some_and(|named| named != client_id) {
            return Err(Code::InvalidRequest.because("client_id is another than in the Authorization header"));
        }
        // An empty secret may be left out, and so is none (§2.3.1).
        Ok(Self { client_id: Some(client_id), secret: Some(secret).filter(|secret| !secret.is_empty()) })
    }
}

/// Name and secret of `Basic <base64 of name:secret>`, each of them form-encoded before (RFC 6749 §2.3.1): libraries write
/// `-` as `%2D` there.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (client_id, secret) = credentials.split_once(':')?;
    Some((form_decode(client_id)?, form_decode(secret)?))
}

/// One form-encoded word: a form with that name and nothing else.
fn form_decode(word: &str) -> Option<String> {
    if word.contains(['&', '=']) {
        return None;
    }
    Some(form_urlencoded::parse(word.as_bytes()).next().map_or_else(String::new, |(word, _)| word.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `credentials` as they stand in the header.
    fn header(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        for (credentials, expected) in [
            ("warehouse:secret", pair("warehouse", "secret")),
            ("ware%2Dhouse:a%5Fb%3Ac+d", pair("ware-house", "a_b:c d")),
            ("warehouse:a:b", pair("warehouse", "a:b")),
            ("shop:", pair("shop", "")),
            (":", pair("", "")),
            ("warehouse", None),
            ("a&b:c", None),
            ("a=b:c", None),
        ] {
            assert_eq!(basic(&header(credentials)), expected, "{credentials}");
        }
        assert_eq!(basic(&header("a:b").replace("Basic", "bAsIc")), pair("a", "b"));
        for bad in ["", "Basic", "Basic ", "Basic !", "Bearer YTpi", "Basic  YTpi", "Basic YTpi YTpi", "Basic //86"] {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }
}
