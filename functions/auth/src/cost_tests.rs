//! What the README says of the cost of the requests that most users make.

use http::StatusCode;
use serde_json::json;
use shared::testing::Capacity;

use crate::testing::{App, PASSWORD};

#[tokio::test]
async fn registration_login_and_refresh_cost_what_the_readme_says() {
    let app = App::new().await;
    let _start = app.database.take_capacity();
    let account = json!({"username": "alice", "password": PASSWORD, "email": "alice@example.com"});
    let _registered = app.post("/register", &account).await.expect(StatusCode::CREATED);
    let register = app.database.take_capacity();
    let login = json!({"username": "alice", "password": PASSWORD});
    let _first = app.post("/login", &login).await.expect(StatusCode::OK);
    let first = app.database.take_capacity();
    let again = app.post("/login", &login).await.expect(StatusCode::OK);
    let login = app.database.take_capacity();
    let token = json!({"refresh_token": again.json["refresh_token"]});
    let _refreshed = app.post("/refresh", &token).await.expect(StatusCode::OK);
    let refresh = app.database.take_capacity();
    let costs = |round_trips, read_units, write_units| Capacity { round_trips, read_units, write_units };
    assert_eq!(
        [register, first, login, refresh],
        [costs(2, 0.0, 9.0), costs(11, 2.0, 11.0), costs(5, 2.0, 6.0), costs(4, 3.0, 1.0)]
    );
}
