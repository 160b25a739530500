//! The service `sample` in the running system.

use http::Method;
use serde_json::json;

use crate::client::Client;

#[tokio::test]
async fn entries_belong_to_who_made_them() {
    let client = Client::new();
    let (owner, stranger) = (client.new_user().await, client.new_user().await);
    let entry = "/sample/01a204a4-f0d2-737e-a0ed-82493bcbe842";

    let anonymous = client.send(client.request(Method::GET, "sample", "/sample")).await;
    anonymous.assert_problem("no token");
    assert_eq!(anonymous.status, 401);

    let made = client.put("sample", entry, &owner.token, json!({"text": "a lamp"})).await.expect(201);
    assert_eq!(client.get("sample", entry, &owner.token).await.expect(200), made);
    let list = client.get("sample", "/sample", &owner.token).await.expect(200);
    assert_eq!(list, json!({ "items": [made] }));
    let theirs = client.get("sample", "/sample", &stranger.token).await.expect(200);
    assert_eq!(theirs, json!({"items": []}));
    client.get("sample", entry, &stranger.token).await.expect(404);

    client.call(Method::DELETE, "sample", entry, &owner.token, None).await.expect(204);
    client.get("sample", entry, &owner.token).await.expect(404);
}
