//! Where a request comes from.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;

/// The address that the client connected to API Gateway from: `requestContext.http.sourceIp` of the event; or what the distribution
/// in front tells that proved to be ours ([`Origin`](super::Origin)). Never another header: a client writes `X-Forwarded-For` as it
/// likes. None where the event names none; who limits by address must then treat
/// all such requests as one client.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Extensions do not come over the network.
        if let Some(address) = parts.extensions.get::<Self>() {
            return Ok(*address);
        }
        let source = match parts.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        Ok(Self::parse(source))
    }
}

impl ClientAddress {
    /// The address that is written so, if it is one.
    pub(super) fn parse(text: Option<&str>) -> Self {
        // An IPv4 address in IPv6's clothes is the IPv4 address.
        Self(text.and_then(|text| text.parse().ok()).map(|address: IpAddr| address.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::request::LambdaRequest;
    use serde_json::json;

    use super::*;

    async fn address(source: &serde_json::Value) -> Option<IpAddr> {
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/login", "rawQueryString": "",
            "headers": {"x-forwarded-for": "203.0.113.66", "forwarded": "for=203.0.113.66", "x-real-ip": "203.0.113.66"},
            "isBase64Encoded": false,
            "requestContext": {
                "http": {"method": "POST", "path": "/login", "protocol": "HTTP/1.1", "sourceIp": source},
                "stage": "$default", "timeEpoch": 0,
            },
        });
        let request: http::Request<lambda_http::Body> =
            LambdaRequest::ApiGatewayV2(serde_json::from_value(event).unwrap()).into();
        let (mut parts, _) = request.into_parts();
        let ClientAddress(address) = ClientAddress::from_request_parts(&mut parts, &()).await.unwrap();
        address
    }

    #[tokio::test]
    async fn it_is_what_api_gateway_saw_and_never_what_the_client_wrote() {
        for (source, expected) in [
            (json!("192.0.2.1"), Some("192.0.2.1")),
            (json!("2001:db8::1"), Some("2001:db8::1")),
            (json!("::ffff:192.0.2.1"), Some("192.0.2.1")),
            (json!("somewhere"), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            let expected: Option<IpAddr> = expected.map(|address| address.parse().unwrap());
            assert_eq!(address(&source).await, expected, "{source}");
        }
    }
}
