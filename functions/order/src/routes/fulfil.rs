//! `POST /orders/{id}/pack`, `/ship` and `/deliver`: what the shop does with a paid order.

use axum::extract::State;
use shared::db::TransactionError;
use shared::http::{Json, Path};
use shared::problem::Problem;
use uuid::Uuid;

use super::view::OrderView;
use super::{ATTEMPTS, no_order};
use crate::State as App;
use crate::model::{Fulfilment, Shipment};

/// The order was put in a parcel.
pub(crate) async fn pack(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, id, &Fulfilment::Pack).await
}

/// The order was given to a carrier.
pub(crate) async fn ship(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Json(shipment): Json<Shipment>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, id, &Fulfilment::Ship(shipment)).await
}

/// The order has arrived.
pub(crate) async fn deliver(
    State(app): State<App>,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, id, &Fulfilment::Deliver).await
}

async fn fulfil(app: &App, id: Uuid, step: &Fulfilment) -> Result<Json<OrderView>, Problem> {
    let owner = app.orders.owner(id).await?.ok_or_else(no_order)?;
    for _ in 0..ATTEMPTS {
        let order = app.orders.order(owner, id).await?.ok_or_else(no_order)?;
        let now = app.clock.now();
        let fulfilled = order.clone().fulfilled(step, now)?;
        match app.orders.fulfil(&order, step, now).await {
            Ok(()) => return Ok(Json(fulfilled.into())),
            // Another admin was faster: what is legal now depends on the new state.
            Err(TransactionError::Cancelled(_)) => {}
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use tokio::task::JoinSet;
    use uuid::Uuid;

    use crate::model::Order;
    use crate::routes::testing::App;

    /// An order in the state that these steps lead to.
    async fn order_after(steps: &[&str]) -> (App, Order) {
        let app = App::new().await;
        app.sell("cup", 1299, 10).await;
        let order = app.order(&[("cup", 1)]).await;
        for step in steps {
            app.state.clock.advance(SignedDuration::from_hours(1));
            match *step {
                "pay" => app.pay(&order).await.unwrap(),
                "cancel" => {
                    let path = format!("/orders/{}/cancel", order.id);
                    let _cancelled = app.post(1, &path).await.expect(StatusCode::OK);
                }
                step => {
                    let _moved = app.step(order.id, step).await.expect(StatusCode::OK);
                }
            }
        }
        let order = app.read(order.id).await;
        (app, order)
    }

    #[tokio::test]
    async fn the_tracking_tells_the_whole_way() {
        let (app, order) = order_after(&["pay", "pack"]).await;
        let tracking = app.get(&format!("/orders/{}/tracking", order.id)).await;
        assert_eq!(tracking.expect(StatusCode::OK).json.get("carrier"), None);

        let (app, order) = order_after(&["pay", "pack", "ship", "deliver"]).await;
        let tracking = app.get(&format!("/orders/{}/tracking", order.id)).await;
        let history: Vec<Value> = [
            ("PENDING_PAYMENT", "2026-01-01T00:01:00Z", "customer"),
            ("PAID", "2026-01-01T01:01:00Z", "payment"),
            ("PACKED", "2026-01-01T02:01:00Z", "admin"),
            ("SHIPPED", "2026-01-01T03:01:00Z", "admin"),
            ("DELIVERED", "2026-01-01T04:01:00Z", "admin"),
        ]
        .iter()
        .map(|(status, at, by)| json!({"status": status, "at": at, "by": by}))
        .collect();
        let expected = json!({
            "order_id": order.id,
            "status": "DELIVERED",
            "carrier": "DHL",
            "tracking_number": "123",
            "estimated_delivery": "2026-01-05",
            "history": history,
        });
        assert_eq!(tracking.expect(StatusCode::OK).json, expected);
    }

    #[tokio::test]
    async fn a_step_answers_the_order_as_it_is_then() {
        let (app, order) = order_after(&["pay", "pack"]).await;
        let answer = app.step(order.id, "ship").await.expect(StatusCode::OK);
        assert_eq!(answer.json, app.get(&format!("/orders/{}", order.id)).await.json);
        assert_eq!(answer.json["shipment"]["carrier"], "DHL");
    }

    #[tokio::test]
    async fn every_illegal_step_is_refused_and_changes_nothing() {
        let states: [(&[&str], &str, Option<&str>); 6] = [
            (&[], "PENDING_PAYMENT", None),
            (&["cancel"], "CANCELLED", None),
            (&["pay"], "PAID", Some("pack")),
            (&["pay", "pack"], "PACKED", Some("ship")),
            (&["pay", "pack", "ship"], "SHIPPED", Some("deliver")),
            (&["pay", "pack", "ship", "deliver"], "DELIVERED", None),
        ];
        for (steps, status, legal) in states {
            let (app, order) = order_after(steps).await;
            let mut tried = vec!["pack", "ship", "deliver"];
            tried.retain(|step| Some(*step) != legal);
            for step in tried {
                let answer = app.step(order.id, step).await.expect(StatusCode::CONFLICT);
                assert_eq!(answer.json["type"], "urn:problem-type:illegal-transition");
                assert_eq!(answer.json["order_status"], status, "{step}");
            }
            if status != "PENDING_PAYMENT" {
                let answer = app.post(1, &format!("/orders/{}/cancel", order.id)).await;
                assert_eq!(answer.expect(StatusCode::CONFLICT).json["order_status"], status);
                app.pay(&order).await.unwrap_err();
            }
            assert_eq!(app.read(order.id).await, order);
        }
    }

    #[tokio::test]
    async fn of_two_admins_at_once_one_packs() {
        let (app, order) = order_after(&["pay"]).await;
        let mut steps = JoinSet::new();
        for _ in 0..4 {
            let (app, id) = (app.clone(), order.id);
            steps.spawn(async move { app.step(id, "pack").await.status });
        }
        let mut statuses = steps.join_all().await;
        statuses.sort();
        let conflict = StatusCode::CONFLICT;
        assert_eq!(statuses, [StatusCode::OK, conflict, conflict, conflict]);
        assert_eq!(app.read(order.id).await.history.len(), 3);
    }

    #[tokio::test]
    async fn only_admins_fulfil_and_only_orders_that_exist() {
        let (app, order) = order_after(&["pay"]).await;
        for step in ["pack", "ship", "deliver"] {
            let answer = app.post(1, &format!("/orders/{}/{step}", order.id)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            let _unknown = app.step(Uuid::nil(), step).await.expect(StatusCode::NOT_FOUND);
        }
        assert_eq!(app.read(order.id).await, order);
    }

    #[tokio::test]
    async fn a_bad_shipment_is_refused() {
        let (app, order) = order_after(&["pay", "pack"]).await;
        let path = format!("/orders/{}/ship", order.id);
        for (field, value) in [
            ("carrier", json!("")),
            ("carrier", json!(null)),
            ("tracking_number", json!("a\nb")),
            ("tracking_number", json!(5)),
            ("estimated_delivery", json!("tomorrow")),
            ("estimated_delivery", json!("2026-02-30")),
            ("estimated_delivery", json!("2026-01-05T12:00:00")),
            ("status", json!("DELIVERED")),
        ] {
            let mut body = json!({"carrier": "DHL", "tracking_number": "123"});
            body[field] = value;
            let answer = app.admin(&path, Some(body)).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field);
        }
        let _empty = app.admin(&path, None).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(app.read(order.id).await, order);
        let body = json!({"carrier": "DHL", "tracking_number": "1", "estimated_delivery": "2026-01-05T12:00:00+02:00"});
        let shipped = app.admin(&path, Some(body)).await.expect(StatusCode::OK).json;
        assert_eq!(shipped["shipment"]["estimated_delivery"], "2026-01-05T10:00:00Z");
    }
}
