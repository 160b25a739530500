//! `GET /health`.

use serde_json::{Value, json};
use shared::http::Json;

/// The function runs; whether it can work is `GET /auth/ready`'s to say.
pub(crate) async fn get() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::testing::App;

    #[tokio::test]
    async fn healthy_and_ready() {
        let app = App::new().await;
        let health = app.get("/health").await.expect(StatusCode::OK);
        assert_eq!(health.json["status"], "ok");
        let ready = app.get("/auth/ready").await.expect(StatusCode::OK);
        assert_eq!(ready.json["status"], "ready");
    }
}
