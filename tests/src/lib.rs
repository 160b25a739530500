//! What the tests of the whole system share.

use shared::routes::Route;

/// Every service and the routes that its crate declares. A new service is added here, and so to all tests of all routes.
pub fn services() -> Vec<(&'static str, Vec<Route>)> {
    vec![
        ("auth", auth::routes().list()),
        ("user", user::routes().list()),
        ("cart", cart::routes().list()),
        ("order", order::routes().list()),
        ("payment", payment::routes().list()),
        ("notification", notification::routes().list()),
        ("analytics", analytics::routes().list()),
    ]
}
