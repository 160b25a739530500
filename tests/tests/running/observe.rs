//! What the log tells: the whole life of an order under one trace, and what was counted.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::Generator;
use template::{Template, workspace_root};

use crate::client::{Client, admin_token};
use crate::directory;

/// The lines of the log that a function wrote.
fn lines_of(function: &str) -> Vec<String> {
    let log = std::fs::read_to_string(directory().join("system.log")).unwrap();
    let lines = log.lines().filter_map(|line| line.split_once(" | "));
    lines.filter(|(whose, _)| whose.trim() == function).map(|(_, line)| line.to_owned()).collect()
}

/// What was counted by a service under these names, in documents that name all of them.
fn counted(service: &str, names: &[&str]) -> Vec<Value> {
    // Lines of metrics do not begin with a function's name.
    let documents =
        lines_of("watch").into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let of_service = documents.filter(|document| document["service"] == service);
    of_service.filter(|document| names.iter().all(|name| !document[name].is_null())).collect()
}

#[tokio::test]
async fn an_orders_whole_life_is_one_trace_from_the_checkout_to_the_last_figure() {
    let client = Client::new();
    let (user, admin) = (client.new_user().await, admin_token());
    let product = client.new_product(5).await;
    client
        .put("cart", &format!("/cart/items/{product}"), &user.token, json!({"quantity": 1}))
        .await
        .expect(200);

    let trace = Generator::system().uuid(Clock::system().now()).simple().to_string();
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let checkout = client.request(Method::POST, "order", "/orders").bearer_auth(&user.token);
    let order = client.send(checkout.header("traceparent", &traceparent)).await.expect(201);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let pay = json!({"order_id": order["id"], "payment_method": "pm_card_visa"});
    client.post("payment", "/pay", &user.token, Some(pay)).await.expect(201);
    client.post("order", &format!("{path}/pack"), &admin, None).await.expect(200);

    // Those who began it, or were asked about it later, and those whom only a stream told.
    let (own, theirs) = (format!("trace_id={trace}"), format!("order_trace_id={trace}"));
    for (function, message, field) in [
        ("order", "route=\"/orders\"", &own),
        ("payment", "route=\"/pay\"", &theirs),
        ("order", "route=\"/orders/{id}/pack\"", &theirs),
        ("notification-worker", "record done", &own),
        ("analytics-worker", "record done", &own),
        ("analytics-aggregator", "record done", &own),
    ] {
        let what = format!("a line of {function} with {message} and {field}");
        let is_it = |line: &String| line.contains(message) && line.contains(field.as_str());
        client.eventually(&what, || async { lines_of(function).iter().any(is_it).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_mail_belongs_to_the_trace_of_the_registration_that_asked_for_it() {
    let client = Client::new();
    let trace = Generator::system().uuid(Clock::system().now()).simple().to_string();
    let username = format!("u-{}", &trace[12..]);
    let body = json!({
        "username": username, "password": "correct horse battery staple", "email": format!("{username}@example.com"),
    });
    let register = client.request(Method::POST, "auth", "/register").json(&body);
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    client.send(register.header("traceparent", traceparent)).await.expect(201);
    let is_it = |line: &String| line.contains("record done") && line.contains(&trace);
    let mailer = "a line of auth-mailer with the trace";
    client.eventually(mailer, || async { lines_of("auth-mailer").iter().any(is_it).then_some(()) }).await;
}

#[tokio::test]
async fn functions_print_what_they_count() {
    let client = Client::new();
    let user = client.new_user().await;
    let product = client.new_product(5).await;
    client.order(&user, &product, 1).await.expect(201);
    let pay = json!({"payment_method": "pm_card_visa"});
    client.post("payment", "/pay", &user.token, Some(pay)).await.expect(201);
    let refused = client.get("user", "/profile", "no-token").await;
    assert_eq!(refused.status, 401, "{}", refused.json);
    for (service, names) in [
        ("auth", vec!["Requests", "Latency", "Logins"]),
        ("order", vec!["Requests", "Latency", "Orders"]),
        ("payment", vec!["Revenue", "currency"]),
        ("payment", vec!["Charges", "outcome"]),
        ("user", vec!["VerificationFailures", "reason"]),
        ("notification-worker", vec!["Handled"]),
        ("cart", vec!["ColdStarts"]),
    ] {
        let what = format!("{service} counts {names:?}");
        client.eventually(&what, || async { counted(service, &names).pop() }).await;
    }
    let other = counted("order", &["Revenue"]);
    assert_eq!(other, [json!(null); 0], "revenue is what was paid, not what was ordered");
}

#[tokio::test]
async fn each_schedule_invokes_its_function() {
    let client = Client::new();
    let template = Template::load(&workspace_root(), &BTreeMap::new()).unwrap();
    let scheduled: Vec<_> =
        template.functions().iter().filter(|function| !function.schedules.is_empty()).collect();
    assert!(!scheduled.is_empty());
    for function in scheduled {
        // It has no other caller, and counts each of its starts.
        assert!(function.routes.is_empty() && function.streams.is_empty(), "{}", function.name);
        let what = format!("{} is invoked", function.name);
        client.eventually(&what, || async { counted(&function.name, &["ColdStarts"]).pop() }).await;
    }
}
