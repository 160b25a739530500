//! A function's front door: each route with who may call it.
//!
//! A route's access is part of its declaration and enforced before the handler sees the request, so that forgetting
//! a check in a handler opens nothing; and the list of routes can be read, so that one test tries every bad token on
//! every protected route of every service.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Method};
use serde::Serialize;

use crate::aws::Aws;
use crate::clock::Clock;
use crate::config::{ConfigError, Env};
use crate::db::Table;
use crate::http::{self as front, BODY_LIMIT, Json, Origin};
#[cfg(feature = "openapi")]
use crate::openapi::{Described, Operation, Schemas};
use crate::paths::PATHS;
use crate::problem::Problem;
use crate::readiness::{self, Secrets};
use crate::run::Failure;
use crate::token::{Caller, Verifier};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone; a token is not looked at.
    Public,
    /// Anyone; but a token that is sent must be valid.
    Optional,
    /// Whoever has a valid access token.
    Caller,
    /// Whoever has a valid access token with the role `admin`.
    Admin,
}

/// One declared route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The path, parameters as `{name}`.
    pub path: String,
    /// Who may call it.
    pub access: Access,
}

/// What a running function knows beyond its own state.
#[derive(Debug, Clone)]
pub struct Service {
    /// The one verifier of tokens.
    pub(crate) verifier: Arc<Verifier>,
    /// The tables that must answer before the function counts as ready.
    pub(crate) tables: Vec<Table>,
    /// The secrets that must be readable by then.
    pub(crate) secrets: Secrets,
    /// Where requests must come from.
    pub(crate) origin: Origin,
}

impl Service {
    /// One that needs no secrets, and that requests reach from anywhere.
    pub fn new(verifier: Arc<Verifier>, tables: Vec<Table>) -> Self {
        Self { verifier, tables, secrets: Secrets::default(), origin: Origin::default() }
    }

    /// Reads the verification keys and the revocations, where a function starts, and where requests must come from.
    pub async fn load(
        env: &Env,
        aws: &Aws,
        tables: impl IntoIterator<Item = Table>,
    ) -> Result<Self, Failure> {
        let verifier = async { Verifier::load(env, aws, Clock::system()).await.map_err(Failure::from) };
        let (verifier, origin) = tokio::try_join!(verifier, Origin::load(env, aws))?;
        let service = Self::new(Arc::new(verifier), tables.into_iter().collect()).behind(origin);
        Ok(service.with_secrets(env, aws, &[])?)
    }

    /// The same, which requests must reach from there.
    #[must_use]
    pub fn behind(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The same, which also reads the secrets that these variables name, and not only the verification keys.
    pub fn with_secrets(self, env: &Env, aws: &Aws, variables: &[&str]) -> Result<Self, ConfigError> {
        let names =
            ["VERIFICATION_KEYS_SECRET"].iter().chain(variables).map(|variable| env.required(variable));
        let mut names: Vec<_> = names.collect::<Result<_, _>>()?;
        names.extend(env.optional("ORIGIN_SECRET"));
        Ok(Self { secrets: Secrets::new(aws, Clock::system(), names), ..self })
    }
}

/// The routes of one service.
#[derive(Debug)]
pub struct Routes<S> {
    name: &'static str,
    entries: Vec<Entry<S>>,
    default_route: bool,
}

#[derive(Debug)]
struct Entry<S> {
    route: Route,
    handler: MethodRouter<S>,
    /// The largest body, in bytes.
    body_limit: usize,
    /// What the handler's types say.
    #[cfg(feature = "openapi")]
    describe: fn(&mut Operation, &mut Schemas),
}

/// Without a description of the API, any handler will do.
#[cfg(not(feature = "openapi"))]
pub trait Described<D> {}

#[cfg(not(feature = "openapi"))]
impl<H> Described<()> for H {}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet but `GET /{name}/ready`.
    pub fn new(name: &'static str) -> Self {
        Self { name, entries: Vec::new(), default_route: false }
    }

    /// Adds `GET path`.
    #[must_use]
    pub fn get<H, T, D>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, S> + Described<D>,
        T: 'static,
    {
        self.add(Method::GET, MethodFilter::GET, path, access, handler)
    }

    /// Adds `POST path`.
    #[must_use]
    pub fn post<H, T, D>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, S> + Described<D>,
        T: 'static,
    {
        self.add(Method::POST, MethodFilter::POST, path, access, handler)
    }

    /// Adds `PUT path`.
    #[must_use]
    pub fn put<H, T, D>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, S> + Described<D>,
        T: 'static,
    {
        self.add(Method::PUT, MethodFilter::PUT, path, access, handler)
    }

    /// Adds `PATCH path`.
    #[must_use]
    pub fn patch<H, T, D>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, S> + Described<D>,
        T: 'static,
    {
        self.add(Method::PATCH, MethodFilter::PATCH, path, access, handler)
    }

    /// Adds `DELETE path`.
    #[must_use]
    pub fn delete<H, T, D>(self, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, S> + Described<D>,
        T: 'static,
    {
        self.add(Method::DELETE, MethodFilter::DELETE, path, access, handler)
    }

    fn add<H, T, D>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        access: Access,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S> + Described<D>,
        T: 'static,
    {
        let route = Route { method, path: path.to_owned(), access };
        self.entries.push(Entry {
            route,
            handler: on(filter, handler),
            body_limit: BODY_LIMIT,
            #[cfg(feature = "openapi")]
            describe: H::describe,
        });
        self
    }

    /// The route that was added last takes bodies of up to so many bytes, at most [`MAX_BODY_LIMIT`](front::MAX_BODY_LIMIT).
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        if let Some(last) = self.entries.last_mut() {
            last.body_limit = bytes;
        }
        self
    }

    /// Every route, `GET /{name}/ready` included.
    pub fn list(&self) -> Vec<Route> {
        let ready = Route { method: Method::GET, path: self.ready_path(), access: Access::Public };
        self.entries.iter().map(|entry| entry.route.clone()).chain([ready]).collect()
    }

    /// Every route, as far as its declaration and the types of its handler say what it does.
    #[cfg(feature = "openapi")]
    pub(crate) fn describe(&self, schemas: &mut Schemas) -> Vec<Operation> {
        let ready = self.list().into_iter().skip(self.entries.len()).map(|route| (route, describe(ready)));
        let routes = self.entries.iter().map(|entry| (entry.route.clone(), entry.describe));
        let describe = |(route, describe): (Route, fn(&mut Operation, &mut Schemas))| {
            let mut operation = Operation::new(route);
            describe(&mut operation, schemas);
            operation
        };
        routes.chain(ready).map(describe).collect()
    }

    /// This is the function behind the API's `$default` route: it also answers, with 405, what API Gateway found no route for
    /// although the path is another service's.
    #[must_use]
    pub fn behind_the_default_route(mut self) -> Self {
        self.default_route = true;
        self
    }

    /// The router that answers all of them, with the guards in place.
    pub fn into_router(self, state: S, service: Service) -> Router {
        let ready_path = self.ready_path();
        let mut router = Router::new();
        if self.default_route {
            let own: HashSet<String> = self.list().into_iter().map(|route| route.path).collect();
            for (path, methods) in PATHS.iter().filter(|(path, _)| !own.contains(*path)) {
                let allow = HeaderValue::from_static(methods);
                let refuse = |method| async { front::method_not_allowed(method).await.header(ALLOW, allow) };
                router = router.route(path, any(refuse));
            }
        }
        for Entry { route, handler, body_limit, .. } in self.entries {
            let guard = middleware::from_fn_with_state((Arc::clone(&service.verifier), route.access), guard);
            let limit = middleware::from_fn(move |request, next| front::limit(body_limit, request, next));
            router = router.route(&route.path, handler.route_layer(guard).route_layer(limit));
        }
        let origin = service.origin.clone();
        let ready = Router::new().route(&ready_path, get(ready)).with_state(service);
        front::finish(router.with_state(state).merge(ready), origin)
    }

    fn ready_path(&self) -> String {
        format!("/{}/ready", self.name)
    }
}

/// What the types of this handler say.
#[cfg(feature = "openapi")]
fn describe<H: Described<D>, D>(_: H) -> fn(&mut Operation, &mut Schemas) {
    H::describe
}

/// Verifies the token before the body is even parsed, and leaves the [`Caller`] for the handler.
async fn guard(
    State((verifier, access)): State<(Arc<Verifier>, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    if access == Access::Public {
        return next.run(request).await;
    }
    // An axum body is not `Sync`: only the header crosses the await.
    let headers: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().cloned().collect();
    match authenticate(&verifier, access, &headers).await {
        Ok(Some(caller)) => {
            tracing::Span::current().record("user_id", tracing::field::display(caller.user_id));
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn authenticate(
    verifier: &Verifier,
    access: Access,
    authorization: &[HeaderValue],
) -> Result<Option<Caller>, Problem> {
    let caller = match authorization {
        [] if access == Access::Optional => return Ok(None),
        [] => return Err(Problem::unauthorized(None)),
        [header] => verifier.authenticate(header).await?,
        _ => return Err(Problem::unauthorized(Some("invalid_token"))),
    };
    if access == Access::Admin && !caller.is_admin() {
        let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
        return Err(Problem::forbidden("This needs the role admin").header(WWW_AUTHENTICATE, challenge));
    }
    Ok(Some(caller))
}

/// That a service can answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Ready {
    status: ReadyStatus,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "lowercase")]
enum ReadyStatus {
    Ready,
}

async fn ready(State(service): State<Service>) -> Result<Json<Ready>, Problem> {
    readiness::check(&service).await?;
    Ok(Json(Ready { status: ReadyStatus::Ready }))
}
