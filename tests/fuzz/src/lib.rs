//! The seven services in this process, over an embedded database in which one admin has something of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::routes::Service;
use shared::testing::{Database, call, issuer};
use shared::token::Claims;
use template::{Template, workspace_root};

/// Whom everything belongs to.
const USERNAME: &str = "mahindra";
const PASSWORD: &str = "correct horse battery";
/// The only product.
const PRODUCT: &str = "cup";

/// The services, and what is in their tables. Every input finds the same.
pub struct System {
    env: Env,
    /// What it all begins with.
    origin: Database,
    claims: Claims,
    names: BTreeMap<&'static str, String>,
    now: Present,
}

/// What the next input meets.
struct Present {
    database: Database,
    routers: BTreeMap<&'static str, Router>,
    token: String,
    since: Instant,
}

impl System {
    /// Fills the database, by the front door.
    pub async fn start() -> Self {
        let parameters = BTreeMap::from([("DemoLogin".to_owned(), "enabled".to_owned())]);
        let template = Template::load(&workspace_root(), &parameters).expect("template.yaml");
        let tables: Vec<_> = template.tables().iter().map(|table| table.logical_id.as_str()).collect();
        let variables = template.functions().iter().flat_map(|function| function.environment.clone());
        let aws = [
            ("AWS_REGION", template::REGION),
            ("AWS_ACCESS_KEY_ID", "fuzz"),
            ("AWS_SECRET_ACCESS_KEY", "fuzz"),
            // Nobody calls it: the embedded database answers. The demo login wants to see a loopback address.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ];
        let aws = aws.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = Env::of(variables.chain(aws));
        let database = Database::new(&tables).await;
        let present = Present::new(database.clone(), &env, String::new()).await;

        let account = json!({"username": USERNAME, "password": PASSWORD, "email": "mahindra@example.com"});
        present.ask("auth", Method::POST, "/register", &account).await;
        let credentials = json!({"username": USERNAME, "password": PASSWORD});
        let login = present.ask("auth", Method::POST, "/login", &credentials).await;
        let claims = claims(&login);
        let present = Present { token: token(&claims), ..present };
        let mut names =
            BTreeMap::from([("$username", USERNAME.to_owned()), ("$password", PASSWORD.to_owned())]);
        if let Some(refresh_token) = login["refresh_token"].as_str() {
            names.insert("$refresh_token", refresh_token.to_owned());
        }
        let product = json!({"name": "Cup", "price": {"amount": 890, "currency": "EUR"}, "stock": 1000});
        present.ask("cart", Method::PUT, &format!("/products/{PRODUCT}"), &product).await;
        let quantity = json!({ "quantity": 2 });
        let label = json!({"name": "A", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE"});
        let address = present.ask("user", Method::POST, "/profile/addresses", &label).await;
        names.insert("$address", id(&address));
        for _an_order_and_what_is_in_the_cart in 0..2 {
            present.ask("cart", Method::PUT, &format!("/cart/items/{PRODUCT}"), &quantity).await;
            if !names.contains_key("$order") {
                let order = present.ask("order", Method::POST, "/orders", &json!({})).await;
                names.insert("$order", id(&order));
            }
        }
        let origin = Database::new(&tables).await;
        origin.copy_from(&database, &tables).await;
        let _preparation = database.take_calls();
        Self { env, origin, claims, names, now: present }
    }

    /// What a service answers to a request with this body, in which [`names`](Self::names) stand for values.
    ///
    /// # Panics
    /// When the answer breaks a promise: a 5xx, or an error that is not of the documented form.
    pub async fn send(&mut self, service: &str, method: Method, path: &str, content_type: &str, body: &[u8]) {
        if self.now.since.elapsed() > Duration::from_mins(5) {
            self.start_again().await;
        }
        let path = self.path(path);
        let body = self.with_values(body);
        let request = call(method, &path)
            .token(&self.now.token)
            .from("192.0.2.1")
            .header("content-type", content_type)
            .body(body);
        let answer = request.send(&self.now.routers[service]).await;
        assert!(!answer.status.is_server_error(), "{} {}", answer.status, answer.json);
        self.restore().await;
    }

    /// Takes back what was written since the last time.
    async fn restore(&mut self) {
        let reads = ["GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"];
        let calls = self.now.database.take_calls();
        let calls = calls.iter().map(|call| call.split(' ').collect::<Vec<_>>());
        let writes = calls.filter(|words| !reads.contains(&words[0]));
        let touched: BTreeSet<_> = writes.flat_map(|words| words[1..].to_vec()).map(str::to_owned).collect();
        let tables: Vec<_> = touched.iter().map(String::as_str).collect();
        self.now.database.copy_from(&self.origin, &tables).await;
        let _taken_back = self.now.database.take_calls();
        if touched.contains("RevocationTable") {
            // Of it every service has a copy in memory.
            self.start_again().await;
        }
    }

    /// The services anew, over the same database, and a fresh token.
    async fn start_again(&mut self) {
        self.now = Present::new(self.now.database.clone(), &self.env, token(&self.claims)).await;
        let _started = self.now.database.take_calls();
    }

    /// The route's path with what there is for each parameter.
    fn path(&self, route: &str) -> String {
        let id = match route {
            route if route.starts_with("/orders") => &self.names["$order"],
            route if route.starts_with("/products") => PRODUCT,
            _ => &self.names["$address"],
        };
        route.replace("{id}", id).replace("{product_id}", PRODUCT).replace("{token}", "x")
    }

    fn with_values(&self, body: &[u8]) -> Vec<u8> {
        let Ok(text) = str::from_utf8(body) else { return body.to_vec() };
        let replaced =
            self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        replaced.into_bytes()
    }
}

impl Present {
    /// The services as their `main` starts them.
    async fn new(database: Database, env: &Env, token: String) -> Self {
        let secret = |name| env.required(name).expect("set").to_owned();
        let key =
            json!({"kid": issuer().public().kid, "alg": "RS256", "private_key": issuer().private_pem()});
        let secrets = BTreeMap::from([
            (secret("SIGNING_KEY_SECRET"), json!({"current": key, "next": key})),
            (secret("VERIFICATION_KEYS_SECRET"), json!(issuer().verification_keys())),
            (secret("UNSUBSCRIBE_SECRET"), json!({"current": "k".repeat(32)})),
        ]);
        let aws = database.aws(env, secrets);
        let service = service(env, &aws).await;
        macro_rules! routers {
            ($($name:ident),+) => {
                BTreeMap::from([
                    $((stringify!($name), {
                        let state = $name::State::new(env, &aws).expect("a state");
                        $name::router(state, service.clone())
                    })),+,
                    ("auth", auth::router(auth::State::new(env, &aws).await.expect("a state"), service.clone())),
                    (
                        "notification",
                        notification::router(
                            notification::State::new(env, &aws).await.expect("a state"),
                            service.clone(),
                        ),
                    ),
                    (
                        "payment",
                        payment::router(payment::State::new(env, &aws).await.expect("a state"), service.clone()),
                    ),
                ])
            };
        }
        let routers = routers!(user, cart, order, analytics);
        Self { database, routers, token, since: Instant::now() }
    }

    /// The answer to a request that must succeed.
    async fn ask(&self, service: &str, method: Method, path: &str, body: &Value) -> Value {
        let request = call(method, path).token(&self.token).from("192.0.2.1").json(body);
        let answer = request.send(&self.routers[service]).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.json);
        answer.json
    }
}

async fn service(env: &Env, aws: &Aws) -> Service {
    Service::load(env, aws, []).await.expect("good keys")
}

/// The claims of the access token, of an admin.
fn claims(login: &Value) -> Claims {
    let token = login["access_token"].as_str().expect("a token");
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).expect("a JWS");
    let claims: Claims = serde_json::from_slice(&payload).expect("our claims");
    Claims { roles: vec!["admin".to_owned()], ..claims }
}

/// A token of these claims that begins now.
fn token(claims: &Claims) -> String {
    let now = Clock::system().now();
    let Claims { exp, iat, nbf, .. } = issuer().claims(claims.sub, USERNAME, now);
    issuer().sign(&issuer().header(), &Claims { exp, iat, nbf, ..claims.clone() })
}

fn id(created: &Value) -> String {
    created["id"].as_str().expect("an id").to_owned()
}
