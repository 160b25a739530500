//! Every bad token on every protected route of every service; a new route is covered by existing.

use std::collections::BTreeSet;

use http::Method;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use shared::clock::Clock;
use shared::routes::{Access, Route};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::client::{Client, in_parallel, issuer};
use crate::system;

/// Tokens with strange key ids use up a service's readings of the keys, which those of a key that was made a moment ago need
/// too: the tests of the two take turns.
pub(crate) static UNKNOWN_KEYS: Mutex<()> = Mutex::const_new(());

/// Each service and what its crate declares.
pub(crate) fn routes() -> Vec<(&'static str, Route)> {
    tests::services()
        .into_iter()
        .flat_map(|(name, list)| list.into_iter().map(move |route| (name, route)))
        .collect()
}

/// The route's path with some well-formed value for each parameter.
pub(crate) fn path(route: &Route) -> String {
    let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).to_string();
    route.path.replace("{id}", &id).replace("{product_id}", "no-such-product")
}

#[tokio::test]
async fn no_bad_token_opens_any_protected_route() {
    let _alone = UNKNOWN_KEYS.lock().await;
    let client = Client::new();
    let bad = issuer().bad_authorizations(Uuid::from_u128(7), Clock::system().now());
    let mut routes = routes();
    let services: BTreeSet<_> = routes.iter().map(|(service, _)| *service).collect();
    assert_eq!(services, system().addresses.services.keys().map(String::as_str).collect(), "all services");
    routes.retain(|(_, route)| route.access != Access::Public);
    assert!(routes.len() > 20, "the protected routes are listed");
    for (service, route) in routes {
        in_parallel(bad.iter().map(|(what, authorization)| {
            let what = format!("{what}: {} {}", route.method, route.path);
            let request = client.request(route.method.clone(), service, &path(&route));
            let (client, request) = (client.clone(), request.header(AUTHORIZATION, authorization));
            async move {
                let answer = client.send(request).await;
                assert_eq!(answer.status, 401, "{what}: {}", answer.json);
                answer.assert_problem(&what);
                assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"", "{what}");
            }
        }))
        .await;
        let answer = client.send(client.request(route.method.clone(), service, &path(&route))).await;
        // Without a token, a cart needs one of its own.
        if route.access == Access::Optional && !route.path.starts_with("/cart") {
            assert_ne!(answer.status, 401, "{} {}", route.method, route.path);
        } else {
            assert_eq!(answer.status, 401, "{} {}", route.method, route.path);
            assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer realm=\"api\"");
        }
    }
}

#[tokio::test]
async fn a_customer_is_no_admin() {
    let client = Client::new();
    let token = issuer().token(Uuid::from_u128(7), Clock::system().now());
    let admin = routes().into_iter().filter(|(_, route)| route.access == Access::Admin);
    let mut count = 0;
    for (service, route) in admin {
        let answer = client.call(route.method.clone(), service, &path(&route), &token, None).await;
        assert_eq!(answer.status, 403, "{} {}", route.method, route.path);
        answer.assert_problem(&route.path);
        count += 1;
    }
    assert!(count >= 5, "the admin routes are listed");
}

#[tokio::test]
async fn a_good_token_of_the_systems_key_opens_them() {
    let client = Client::new();
    let token = issuer().token(Uuid::from_u128(7), Clock::system().now());
    let answer = client.call(Method::GET, "cart", "/cart", &token, None).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
}
