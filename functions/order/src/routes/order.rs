//! `GET /orders/{id}`.

use axum::extract::State;
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::no_order;
use super::view::OrderView;
use crate::State as App;

/// One of the caller's orders.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    let order = app.orders.order(caller.user_id, id).await?.ok_or_else(no_order)?;
    Ok(Json(order.into()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use uuid::Uuid;

    use crate::model::Status;
    use crate::routes::testing::{App, PAYMENT};

    #[tokio::test]
    async fn a_payment_shows_as_under_way_and_is_named_once_it_has_paid() {
        let app = App::new().await;
        app.sell("cup", 1299, 10).await;
        let order = app.order(&[("cup", 1)]).await;
        let read = || async {
            let path = format!("/orders/{}", order.id);
            app.get(&path).await.expect(StatusCode::OK).json
        };
        app.begin_payment(&order).await.unwrap();
        let paying = read().await;
        assert_eq!(paying["payment_in_progress"], true);
        assert!(!paying.to_string().contains(&PAYMENT.to_string()), "{paying}");

        app.mark_paid(&order, PAYMENT).await.unwrap();
        let paid = read().await;
        assert_eq!(paid["status"], "PAID");
        assert_eq!(paid["payment_in_progress"], false);
        assert_eq!(paid["payment_id"], PAYMENT.to_string());
        assert_eq!(paid["history"][1]["by"], "payment");
        assert_eq!(paid.get("user_id"), None::<&Value>);
    }

    #[tokio::test]
    async fn only_the_payment_under_way_may_release_or_pay() {
        let app = App::new().await;
        app.sell("cup", 1299, 10).await;
        let order = app.order(&[("cup", 1)]).await;
        let other = Uuid::from_u128(0xbad);
        app.mark_paid(&order, PAYMENT).await.unwrap_err();
        app.begin_payment(&order).await.unwrap();
        app.begin_payment(&order).await.unwrap_err();
        app.release_payment(&order, other).await.unwrap_err();
        app.mark_paid(&order, other).await.unwrap_err();
        assert_eq!(app.read(order.id).await.status, Status::PendingPayment);

        app.mark_paid(&order, PAYMENT).await.unwrap();
        app.mark_paid(&order, PAYMENT).await.unwrap_err();
        app.release_payment(&order, PAYMENT).await.unwrap_err();
        let paid = app.read(order.id).await;
        assert_eq!((paid.status, paid.payment_id), (Status::Paid, Some(PAYMENT)));
        assert_eq!(paid.history.len(), 2);
    }
}
