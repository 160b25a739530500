//! Who calls the OAuth endpoints (RFC 6749 §2.3): our own shop front, which has no secret, or a client that an operator made.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared::http::{ClientAddress, Form};
use shared::oauth::{Code, OAuthError};

use crate::State as App;
use crate::model::client::{ClientId, SHOP, SecretHash};
use crate::security::{Entry, Event};

/// A form from a client. Not `Debug`: it holds secrets.
pub(crate) struct ClientForm {
    /// The parameters.
    pub(crate) form: Form,
    headers: HeaderMap,
    address: ClientAddress,
}

/// What a request says about its client.
struct Credentials {
    client_id: Option<String>,
    secret: Option<String>,
}

impl<S: Sync> FromRequest<S> for ClientForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let (mut parts, body) = request.into_parts();
        let Ok(address) = ClientAddress::from_request_parts(&mut parts, state).await;
        let headers = parts.headers.clone();
        let form = Form::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { form, headers, address })
    }
}

impl ClientForm {
    /// Lets our own shop front pass, which may name itself and has nothing to prove itself with.
    pub(crate) fn public(&self) -> Result<(), OAuthError> {
        let credentials = self.credentials()?;
        if credentials.client_id.is_some_and(|client_id| client_id != SHOP) || credentials.secret.is_some() {
            self.refused().because("not_public").log();
            return Err(Code::InvalidClient.because("This endpoint has one client, which is public: shop"));
        }
        Ok(())
    }

    /// The client that proves itself by its secret, by HTTP Basic or in the body. Whether there is one of this name or not,
    /// the work is one read and one hash; only for a name that no client can have there is nothing to read, which is no
    /// secret.
    pub(crate) async fn confidential(&self, app: &App) -> Result<ClientId, OAuthError> {
        let Credentials { client_id: Some(client_id), secret: Some(secret) } = self.credentials()? else {
            self.refused().because("no_credentials").log();
            return Err(
                Code::InvalidClient.because("The client must authenticate: by HTTP Basic or in the body")
            );
        };
        let client = match ClientId::try_from(client_id) {
            Ok(client_id) => app.accounts.client(&client_id).await?,
            Err(_) => None,
        };
        let hash = client.as_ref().map_or_else(SecretHash::nobodys, |client| client.secret_hash.clone());
        let matches = hash.matches(&secret);
        match client {
            Some(client) if matches => return Ok(client.client_id),
            Some(client) => self.refused().client(client.client_id.as_str()).because("wrong_secret").log(),
            None => self.refused().because("unknown_client").log(),
        }
        Err(Code::InvalidClient.because("The client_id or the client_secret is wrong"))
    }

    /// By HTTP Basic or by parameters of the body, never both (RFC 6749 §2.3). The client's name alone may stand in the
    /// body beside HTTP Basic: it proves nothing.
    fn credentials(&self) -> Result<Credentials, OAuthError> {
        let client_id = self.form.optional("client_id").map(str::to_owned);
        let secret = self.form.optional("client_secret").map(str::to_owned);
        let mut authorization = self.headers.get_all(AUTHORIZATION).iter();
        let Some(header) = authorization.next() else { return Ok(Credentials { client_id, secret }) };
        if secret.is_some() || authorization.next().is_some() {
            return Err(Code::InvalidRequest.because("The client must authenticate in one way only"));
        }
        let Some((name, secret)) = header.to_str().ok().and_then(basic) else {
            self.refused().because("malformed_credentials").log();
            return Err(Code::InvalidClient.because("The Authorization header is not HTTP Basic"));
        };
        if client_id.is_some_and(|client_id| client_id != name) {
            return Err(Code::InvalidRequest.because("client_id is another than in the Authorization header"));
        }
        // An empty secret may be left out, and so is none (§2.3.1).
        Ok(Credentials { client_id: Some(name), secret: Some(secret).filter(|secret| !secret.is_empty()) })
    }

    fn refused(&self) -> Entry<'_> {
        Event::ClientRefused.entry().from(self.address.0)
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
    Some(
        form_urlencoded::parse(word.as_bytes())
            .next()
            .map_or_else(String::new, |(word, _)| word.into_owned()),
    )
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
        for bad in
            ["", "Basic", "Basic ", "Basic !", "Bearer YTpi", "Basic  YTpi", "Basic YTpi YTpi", "Basic //86"]
        {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }
}
