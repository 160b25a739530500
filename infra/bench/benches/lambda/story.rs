//! Every documented route once, in an order in which each has something to do: who registers, logs in, browses, orders, pays, and what
//! an admin does about it. What DynamoDB answered is kept, so that each request can be made again and again.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bench::sandbox::Sandbox;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::Generator;
use shared::testing::issuer;
use shared::token::{Claims, KeySet};

use crate::cloud::Tape;
use crate::event::{Body, event};
use crate::subjects::{Maker, ask};

/// A request to a route, and what it needs to be made again.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) service: String,
    /// Method and path, with `{parameters}`.
    pub(crate) route: String,
    pub(crate) event: Vec<u8>,
    pub(crate) status: u64,
    pub(crate) tape: Tape,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Anyone,
    User,
    Admin,
}
use By::{Admin, Anyone, User};

/// Names no address: refused once the token is verified, and before the database is asked.
pub(crate) const NO_ID: &str = "GET /profile/addresses/nonsense";

const PASSWORD: &str = "correct horse battery staple";

/// Tells it.
pub(crate) struct Story<'a> {
    make: &'a Maker<'a>,
    /// The services that were asked before.
    running: HashMap<String, Sandbox>,
    user: String,
    admin: String,
    steps: Vec<Step>,
}

impl<'a> Story<'a> {
    /// The steps, of those services that were built.
    pub(crate) async fn tell(make: &'a Maker<'a>) -> Result<Vec<Step>> {
        let none = String::new;
        let mut story =
            Self { make, running: HashMap::new(), user: none(), admin: none(), steps: Vec::new() };
        story.accounts().await?;
        story.profile().await?;
        if story.has("cart") && story.has("order") && story.has("payment") {
            story.shop().await?;
        }
        if story.has("notification") {
            story.notifications().await?;
        }
        if story.has("analytics") {
            story.figures().await?;
        }
        Ok(story.steps)
    }

    fn has(&self, service: &str) -> bool {
        self.make.has(service)
    }

    async fn accounts(&mut self) -> Result<()> {
        let account = json!({"username": "mahindra", "password": PASSWORD, "email": "mahindra@example.com"});
        self.post("auth", "/register", Anyone, account, 201).await?;
        let login = json!({"username": "mahindra", "password": PASSWORD});
        let session = self.post("auth", "/login", Anyone, login.clone(), 200).await?;
        self.user = lasting(&session, &["customer"])?;
        self.admin = lasting(&session, &["customer", "admin"])?;
        let refresh = json!({"refresh_token": session["refresh_token"]});
        self.post("auth", "/refresh", Anyone, refresh, 200).await?;
        self.get("auth", "/sessions", User).await?;
        let other = self.ask("auth", "POST", "/login", Anyone, Body::Json(login), 200).await?;
        let form = format!("token={}&client_id=shop", text(&other, "refresh_token")?);
        self.step("auth", "POST", "/revoke", "/revoke", Anyone, Body::Form(form), 200).await?;
        self.post("auth", "/password/forgot", Anyone, json!({"username": "mahindra"}), 202).await?;
        for path in ["/health", "/auth/ready", "/.well-known/jwks.json", "/.well-known/openid-configuration"]
        {
            self.get("auth", path, Anyone).await?;
        }
        Ok(())
    }

    async fn profile(&mut self) -> Result<()> {
        self.get("user", "/profile", User).await?;
        let change = Body::Json(json!({"name": "Mahindra"}));
        self.step("user", "PATCH", "/profile", "/profile", User, change, 200).await?;
        let label = json!({"name": "A", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE"});
        let address = self.post("user", "/profile/addresses", User, label.clone(), 201).await?;
        self.get("user", "/profile/addresses", User).await?;
        let path = format!("/profile/addresses/{}", text(&address, "id")?);
        let route = "/profile/addresses/{id}";
        self.step("user", "GET", route, &path, User, Body::None, 200).await?;
        self.step("user", "PUT", route, &path, User, Body::Json(label), 200).await?;
        let (_, no_id) = NO_ID.split_once(' ').context("method and path")?;
        self.step("user", "GET", no_id, no_id, User, Body::None, 400).await?;
        self.step("user", "DELETE", route, &path, User, Body::None, 204).await?;
        Ok(())
    }

    async fn shop(&mut self) -> Result<()> {
        let product = json!({"name": "Cup", "price": {"amount": 890, "currency": "EUR"}, "stock": 1000});
        let (route, path) = ("/products/{id}", "/products/cup");
        self.step("cart", "PUT", route, path, Admin, Body::Json(product), 201).await?;
        let change = Body::Json(json!({"price": {"amount": 790}}));
        self.step("cart", "PATCH", route, path, Admin, change, 200).await?;
        self.step("cart", "GET", route, path, Anyone, Body::None, 200).await?;
        self.get("cart", "/products", Anyone).await?;
        let (route, path) = ("/cart/items/{product_id}", "/cart/items/cup");
        let quantity = || Body::Json(json!({"quantity": 2}));
        self.step("cart", "PUT", route, path, User, quantity(), 200).await?;
        self.get("cart", "/cart", User).await?;
        self.step("cart", "DELETE", route, path, User, Body::None, 204).await?;
        self.ask("cart", "PUT", path, User, quantity(), 200).await?;
        self.step("cart", "DELETE", "/cart", "/cart", User, Body::None, 204).await?;
        self.post("cart", "/cart", Anyone, json!({}), 201).await?;

        for cancelled in [true, false] {
            self.ask("cart", "PUT", path, User, quantity(), 200).await?;
            let order = if cancelled {
                self.ask("order", "POST", "/orders", User, Body::Json(json!({})), 201).await?
            } else {
                self.post("order", "/orders", User, json!({}), 201).await?
            };
            let path = format!("/orders/{}", text(&order, "id")?);
            if cancelled {
                let reason = Body::Json(json!({"reason": "ordered twice"}));
                let cancel = format!("{path}/cancel");
                self.step("order", "POST", "/orders/{id}/cancel", &cancel, User, reason, 200).await?;
                continue;
            }
            self.get("order", "/orders", User).await?;
            self.step("order", "GET", "/orders/{id}", &path, User, Body::None, 200).await?;
            let pay = json!({"payment_method": "pm_card_visa"});
            let payment = self.post("payment", "/pay", User, pay, 201).await?;
            self.get("payment", "/payments", User).await?;
            let payment = format!("/payments/{}", text(&payment, "id")?);
            self.step("payment", "GET", "/payments/{id}", &payment, User, Body::None, 200).await?;
            let ship = json!({"carrier": "DHL", "tracking_number": "JJD0001"});
            for (what, body) in [("pack", Body::None), ("ship", Body::Json(ship)), ("deliver", Body::None)] {
                let route = format!("/orders/{{id}}/{what}");
                self.step("order", "POST", &route, &format!("{path}/{what}"), Admin, body, 200).await?;
            }
            let tracking = format!("{path}/tracking");
            self.step("order", "GET", "/orders/{id}/tracking", &tracking, User, Body::None, 200).await?;
            let part = Body::Json(json!({"amount": {"amount": 100, "currency": "EUR"}, "reason": "damaged"}));
            let refund = format!("{payment}/refund");
            self.step("payment", "POST", "/payments/{id}/refund", &refund, Admin, part, 201).await?;
        }
        Ok(())
    }

    async fn notifications(&mut self) -> Result<()> {
        self.get("notification", "/notifications", User).await?;
        let path = "/notifications/preferences";
        let preferences = self.get("notification", path, User).await?;
        self.step("notification", "PUT", path, path, User, Body::Json(preferences), 200).await?;
        Ok(())
    }

    async fn figures(&mut self) -> Result<()> {
        let now = Clock::system().now();
        let seen = json!({"name": "page_seen", "id": Generator::system().uuid(now), "at": now, "properties": {"page": "/"}});
        self.post("analytics", "/events", User, seen, 202).await?;
        for path in ["summary", "timeseries", "funnel", "top-products", "cohorts"] {
            self.get("analytics", &format!("/analytics/{path}"), Admin).await?;
        }
        Ok(())
    }

    async fn get(&mut self, service: &str, path: &str, by: By) -> Result<Value> {
        self.step(service, "GET", path, path, by, Body::None, 200).await
    }

    async fn post(&mut self, service: &str, path: &str, by: By, body: Value, status: u64) -> Result<Value> {
        self.step(service, "POST", path, path, by, Body::Json(body), status).await
    }

    /// A request that is measured later.
    #[expect(clippy::too_many_arguments, reason = "a request has as many")]
    async fn step(
        &mut self,
        service: &str,
        method: &str,
        route: &str,
        path: &str,
        by: By,
        body: Body,
        status: u64,
    ) -> Result<Value> {
        let route = format!("{method} {route}");
        let event = self.event(method, path, by, &body);
        self.make.cloud.record();
        let answer =
            ask(self.sandbox(service).await?, &event, status).await.with_context(|| route.clone())?;
        let tape = self.make.cloud.live();
        self.steps.push(Step { service: service.to_owned(), route, event, status, tape });
        Ok(answer)
    }

    /// A request that only prepares others.
    async fn ask(
        &mut self,
        service: &str,
        method: &str,
        path: &str,
        by: By,
        body: Body,
        status: u64,
    ) -> Result<Value> {
        let event = self.event(method, path, by, &body);
        ask(self.sandbox(service).await?, &event, status).await.with_context(|| format!("{method} {path}"))
    }

    fn event(&self, method: &str, path: &str, by: By, body: &Body) -> Vec<u8> {
        let token = match by {
            Anyone => None,
            User => Some(self.user.as_str()),
            Admin => Some(self.admin.as_str()),
        };
        event(method, path, token, body)
    }

    async fn sandbox(&mut self, service: &str) -> Result<&mut Sandbox> {
        if !self.running.contains_key(service) {
            let (sandbox, _) = Sandbox::start(&self.make.ours(service)?).await?;
            self.running.insert(service.to_owned(), sandbox);
        }
        self.running.get_mut(service).context("it was started")
    }
}

/// The access token of a login, but of these roles and for a day: measuring takes longer than a quarter of an hour.
fn lasting(login: &Value, roles: &[&str]) -> Result<String> {
    let keys = KeySet::new(issuer().verification_keys())?;
    let claims = keys.verify(text(login, "access_token")?, Clock::system().now())?;
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Ok(issuer().sign(&issuer().header(), &Claims { roles, exp: claims.exp + 24 * 60 * 60, ..claims }))
}

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str> {
    value[member].as_str().with_context(|| format!("no {member} in {value}"))
}
