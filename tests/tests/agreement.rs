//! What is written in more than one place says the same in all of them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use shared::http::{ORIGIN_PROOF, VIEWER_ADDRESS};
use shared::paths::PATHS;
use shared::routes::Route;
use shared::token::{CLOCK_SKEW, RevocationLog};
use template::{Template, workspace_root};

type Routes = BTreeSet<(String, String)>;

/// What a policy may allow on a table itself, in the order of their names.
const TABLE_ACTIONS: [&str; 11] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLSelect",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
];

fn template() -> Template {
    Template::load(&workspace_root(), &BTreeMap::new()).unwrap()
}

/// The routes that the code answers, per function.
fn routes_of_the_code() -> BTreeMap<String, Routes> {
    let pairs =
        |list: Vec<Route>| list.into_iter().map(|route| (route.method.to_string(), route.path)).collect();
    tests::services().into_iter().map(|(name, list)| (name.to_owned(), pairs(list))).collect()
}

#[test]
fn the_template_maps_just_the_routes_that_the_code_answers() {
    let template = template();
    for (name, code) in routes_of_the_code() {
        let function =
            template.function(&name).unwrap_or_else(|| panic!("template.yaml has no function {name}"));
        let mapped: Routes = function
            .routes
            .iter()
            .filter(|(method, path)| !(method == "$default" || path == "$default"))
            .map(|(method, path)| (method.to_uppercase(), path.clone()))
            .collect();
        assert_eq!(mapped, code, "{name}: the template's routes and the code's");
    }
    let with_routes = template.functions().iter().filter(|function| !function.routes.is_empty());
    let with_routes: BTreeSet<&str> = with_routes.map(|function| function.name.as_str()).collect();
    let known = routes_of_the_code();
    assert_eq!(with_routes, known.keys().map(String::as_str).collect(), "the services that these tests know");
}

#[test]
fn what_is_behind_the_default_route_knows_every_path_and_its_methods() {
    let mut paths: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let routes = routes_of_the_code();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        for (_, path) in routes.values().flatten().filter(|(of, _)| of == method) {
            paths.entry(path.clone()).or_default().push(method);
        }
    }
    let known = PATHS.iter().map(|(path, methods)| ((*path).to_owned(), (*methods).to_owned()));
    let expected = paths.into_iter().map(|(path, methods)| (path, methods.join(", ")));
    assert_eq!(known.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "functions/shared/src/paths.rs");
}

#[test]
fn cargo_lambdas_router_sends_each_path_to_its_function() {
    let manifest = std::fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let actual: BTreeMap<String, String> =
        router.iter().map(|(path, function)| (path.clone(), function.as_str().unwrap().to_owned())).collect();
    let code = routes_of_the_code();
    let mut expected: BTreeMap<String, String> = code
        .iter()
        .flat_map(|(name, routes)| routes.iter().map(move |(_, path)| (path.clone(), name.clone())))
        .collect();
    // What the API's default route is on AWS: the function that answers unknown paths.
    let template = template();
    let fallback = template.default_route().unwrap();
    expected.extend(["/", "/{*unknown}"].map(|path| (path.to_owned(), fallback.name.clone())));
    assert_eq!(actual, expected);
}

/// The README's table of services: the port of each, and its routes.
fn documented() -> BTreeMap<String, (u16, Routes)> {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).unwrap();
    let service = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", name, port, paths, ""] = cells[..] else { return None };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), (port.parse().ok()?, routes_in(paths))))
    };
    readme.lines().filter_map(service).collect()
}

/// What stands between backticks: methods and a path, such as `GET PUT /notifications/preferences`.
fn routes_in(text: &str) -> Routes {
    let quoted = text.split('`').skip(1).step_by(2);
    let routes = quoted.filter_map(|words| words.rsplit_once(' '));
    routes
        .flat_map(|(methods, path)| methods.split(' ').map(|method| (method.to_owned(), path.to_owned())))
        .collect()
}

#[test]
fn the_readme_names_every_service_with_its_port_and_its_paths() {
    let template = template();
    let code = routes_of_the_code().into_iter().map(|(name, mut routes)| {
        // The README says of all services at once that each has this one.
        assert!(routes.remove(&("GET".to_owned(), format!("/{name}/ready"))), "{name} has no readiness");
        let port = template.function(&name).and_then(|function| function.local_port);
        (name.clone(), (port.unwrap_or_else(|| panic!("{name} has no LocalPort")), routes))
    });
    assert_eq!(documented(), code.collect());
}

#[test]
fn only_auth_and_the_rotation_may_read_the_private_key() {
    let template = template();
    for function in template.functions() {
        let may = template.may(function, "secretsmanager:GetSecretValue", "SigningKeySecret");
        assert_eq!(may, ["auth", "auth-rotation"].contains(&function.name.as_str()), "{}", function.name);
    }
}

/// What they grant is not in the template, so neither a reader nor the tests here would see it.
#[test]
fn no_function_has_a_managed_policy() {
    for function in template().functions() {
        assert!(function.managed_policies.is_empty(), "{}: {:?}", function.name, function.managed_policies);
    }
}

/// `sam build` runs in `CodeUri`, and is not part of the tests.
#[test]
fn each_function_is_built_where_its_binary_is() {
    for function in template().functions() {
        let package = workspace_root().join(&function.code_uri);
        let main = package.join("src/main.rs").is_file() && package.ends_with(&function.name);
        let job = package.join("src/bin").join(format!("{}.rs", function.name)).is_file();
        assert!(main || job, "{} in {}", function.name, function.code_uri);
    }
}

/// Whoever holds a payment's lease must be dead when it runs out.
#[test]
fn a_payments_lease_is_longer_than_a_request_may_take() {
    let limit = template().function("payment").unwrap().timeout;
    assert!(payment::model::LEASE.unsigned_abs() > limit, "{} and {limit:?}", payment::model::LEASE);
}

/// And whoever owns an idempotency key.
#[test]
fn an_idempotency_keys_lease_is_longer_than_a_request_may_take() {
    for function in template().functions().iter().filter(|function| !function.routes.is_empty()) {
        let (limit, lease) = (function.timeout, shared::idempotency::LEASE);
        assert!(lease.unsigned_abs() > limit, "{}: {limit:?} and {lease}", function.name);
    }
}

#[test]
fn a_service_reaches_no_table_that_its_crate_does_not_depend_on() {
    let template = template();
    let owners: &[(&str, &[&str])] = &[
        ("AuthTable", &["auth", "auth-mailer", "auth-operator"]),
        ("AuthOutboxTable", &["auth", "auth-mailer", "auth-operator"]),
        (
            "UserTable",
            &["user", "auth", "auth-mailer", "order", "notification-worker", "notification-deferred"],
        ),
        ("CartTable", &["cart", "order", "order-expiry", "analytics-aggregator"]),
        ("OrderTable", &["order", "order-expiry", "payment", "payment-reconciler"]),
        ("PaymentTable", &["payment", "payment-reconciler"]),
        (
            "NotificationTable",
            &["notification", "notification-worker", "notification-deferred", "notification-feedback"],
        ),
        ("AnalyticsTable", &["analytics", "analytics-worker", "analytics-aggregator"]),
    ];
    for &(table, allowed) in owners {
        for function in template.functions() {
            let reaches = TABLE_ACTIONS.iter().any(|action| template.may(function, action, table));
            let name = function.name.as_str();
            assert_eq!(reaches, allowed.contains(&name), "{name} and {table}");
        }
    }
}

/// Everyone who verifies tokens keeps a copy of the revocations; who ends sessions writes them, and nobody takes one back.
#[test]
fn whoever_serves_the_api_reads_the_revocations_and_only_auth_writes_them() {
    let template = template();
    for function in template.functions() {
        let (name, serves) = (function.name.as_str(), !function.routes.is_empty());
        let allowed = |action: &&&str| template.may(function, action, "RevocationTable");
        let actions: Vec<&str> = TABLE_ACTIONS.iter().filter(allowed).copied().collect();
        let writes = name == "auth" || (name == "auth-operator" && !actions.is_empty());
        let expected = ["dynamodb:PutItem", "dynamodb:Query"];
        let expected: Vec<&str> = expected
            .into_iter()
            .zip([writes, serves])
            .filter(|(_, may)| *may)
            .map(|(action, _)| action)
            .collect();
        assert_eq!(actions, expected, "{name}");
        let reads_secret = template.may(function, "secretsmanager:GetSecretValue", "VerificationKeysSecret");
        assert!(!serves || reads_secret && function.environment.contains_key("REVOCATION_TABLE"), "{name}");
    }
}

/// Or a copy would not look back far enough to see what it wrote last.
#[test]
fn no_function_runs_longer_than_a_revocation_may_take_to_appear() {
    let template = template();
    let writers = template.functions().iter();
    let writers = writers.filter(|function| template.may(function, "dynamodb:PutItem", "RevocationTable"));
    let limit = (RevocationLog::MAX_DELAY - CLOCK_SKEW).unsigned_abs();
    for function in writers {
        assert!(function.timeout < limit, "{}: {:?} and {limit:?}", function.name, function.timeout);
    }
}

#[test]
fn the_demo_login_is_disabled_unless_somebody_enables_it() {
    let template = template();
    let auth = template.function("auth").unwrap();
    assert_eq!(auth.environment["DEMO_LOGIN"], "disabled");
    let others =
        template.functions().iter().filter(|function| function.environment.contains_key("DEMO_LOGIN"));
    assert_eq!(others.count(), 1, "only auth knows the demo login");
}

#[test]
fn production_insists_on_the_safe_parameters() {
    let load = |parameters: &[(&str, &str)]| {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Template::load(&workspace_root(), &parameters.collect())
    };
    let secret = ("StripeSecretArn", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stripe");
    let safe = [
        ("Stage", "prod"),
        ("RequireVerifiedEmail", "enabled"),
        ("EmailSender", "shop@shop.example"),
        ("PaymentProvider", "stripe"),
        secret,
    ];
    assert!(load(&safe).is_ok());
    for unsafe_one in [
        ("RequireVerifiedEmail", "disabled"),
        ("DemoLogin", "enabled"),
        ("DeletionProtection", "false"),
        ("EmailSender", "no-reply@example.com"),
        ("PaymentProvider", "test"),
        ("StripeApiUrl", "http://localhost:8420"),
        ("StripeSecretArn", ""),
    ] {
        assert!(load(&[safe.as_slice(), &[unsafe_one]].concat()).is_err(), "{unsafe_one:?}");
    }
}

/// What `sam deploy --config-env` says: dev as it stands, prod once three values are yours.
#[test]
fn both_environments_of_samconfig_are_taken_by_the_template() {
    let text = std::fs::read_to_string(workspace_root().join("infra/samconfig.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    let parameters = |environment: &str| -> BTreeMap<String, String> {
        let list = config[environment]["deploy"]["parameters"]["parameter_overrides"].as_array().unwrap();
        let pairs = list.iter().map(|pair| pair.as_str().unwrap().split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    Template::load(&workspace_root(), &parameters("dev")).unwrap();
    let mut prod = parameters("prod");
    let open: Vec<&String> =
        prod.iter().filter(|(_, value)| value.starts_with("your-")).map(|(name, _)| name).collect();
    assert_eq!(open, ["AlarmEmail", "EmailSender", "StripeSecretArn"]);
    prod.insert("EmailSender".to_owned(), "shop@shop.example".to_owned());
    Template::load(&workspace_root(), &prod).unwrap();
    assert_eq!(prod["Stage"], "prod");
}

/// Only who talks to Stripe may read its keys, and only where it is talked to.
#[test]
fn stripes_keys_are_for_payment_alone() {
    let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stripe";
    let parameters = [("PaymentProvider", "stripe"), ("StripeSecretArn", secret)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let template = Template::load(&workspace_root(), &parameters.into()).unwrap();
    for function in template.functions() {
        let mut statements = function.policies.iter();
        let may = statements.any(|statement| statement.covers("secretsmanager:GetSecretValue", secret));
        let name = function.name.as_str();
        assert_eq!(may, ["payment", "payment-reconciler"].contains(&name), "{name}");
    }
}

/// Who could read it could end anybody's mails.
#[test]
fn what_signs_unsubscribe_links_is_for_notification_alone() {
    let template = template();
    for function in template.functions() {
        let may = template.may(function, "secretsmanager:GetSecretValue", "UnsubscribeSecret");
        let name = function.name.as_str();
        let allowed = ["notification", "notification-worker", "notification-deferred"].contains(&name);
        assert_eq!(may, allowed, "{name}");
    }
}

#[test]
fn no_private_key_is_tracked() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(workspace_root()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let files = git(&["ls-files"]);
    assert!(files.contains("Cargo.toml"), "git lists the files");
    let extension = |file: &str| Path::new(file).extension().map(std::ffi::OsStr::to_ascii_lowercase);
    let is_key =
        |file: &&str| extension(file).is_some_and(|extension| extension == "pem" || extension == "key");
    let keys: Vec<&str> = files.lines().filter(is_key).collect();
    assert!(keys.is_empty(), "{keys:?}");
    // Put together here, so that this file is not a match.
    let marker = ["-----BEGIN", "[A-Z ]*PRIVATE KEY-----"].join(" ");
    let tracked = git(&["grep", "-lE", &format!("^{marker}$")]);
    assert!(tracked.is_empty(), "private keys in {tracked}");
    for file in ["keys/private.pem", "keys/public.pem"] {
        assert!(!git(&["check-ignore", file]).is_empty(), "{file} is not ignored");
    }
}

/// `METHOD path` of each route that takes a body, for the fuzz target of bodies.
#[test]
fn each_body_has_a_seed_to_fuzz_from() {
    let seeds = std::fs::read_dir(workspace_root().join("tests/fuzz/seeds/body")).unwrap();
    let first_line = |path| std::fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned();
    let seeds: Routes = seeds
        .map(|seed| first_line(seed.unwrap().path()))
        .map(|line| {
            let [method, path, _content_type] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            (method.to_owned(), path.to_owned())
        })
        .collect();
    let routes = routes_of_the_code().into_values().flatten();
    let bodies: Routes =
        routes.filter(|(method, _)| ["POST", "PUT", "PATCH"].contains(&method.as_str())).collect();
    assert_eq!(seeds, bodies);
}

/// The fuzz targets are a workspace of their own, and fuzz the libraries that run.
#[test]
fn the_fuzz_targets_have_the_versions_of_the_workspace() {
    let packages = |lock: &str| -> BTreeSet<(String, String)> {
        let text = std::fs::read_to_string(workspace_root().join(lock)).unwrap();
        let lock: toml::Table = text.parse().unwrap();
        let field = |package: &toml::Value, name: &str| package[name].as_str().unwrap().to_owned();
        let packages = lock["package"].as_array().unwrap();
        packages.iter().map(|package| (field(package, "name"), field(package, "version"))).collect()
    };
    let (fuzz, ours) = (packages("tests/fuzz/Cargo.lock"), packages("Cargo.lock"));
    let known: BTreeSet<_> = ours.iter().map(|(name, _)| name).collect();
    let others: Vec<_> =
        fuzz.iter().filter(|package| known.contains(&package.0) && !ours.contains(*package)).collect();
    assert!(others.is_empty(), "in Cargo.lock with another version: {others:?}");
}

#[test]
fn the_distribution_sends_the_headers_that_the_functions_read() {
    let text = std::fs::read_to_string(workspace_root().join("template.yaml")).unwrap();
    let resources = &template::document(&text).unwrap()["Resources"];
    let configuration = &resources["Distribution"]["Properties"]["DistributionConfig"];
    let header = &configuration["Origins"][0]["OriginCustomHeaders"][0];
    assert_eq!(header["HeaderName"], ORIGIN_PROOF.as_str());
    let code = resources["ViewerAddressFunction"]["Properties"]["FunctionCode"].as_str().unwrap();
    assert!(code.contains(&format!("headers['{VIEWER_ADDRESS}'] = {{ value: event.viewer.ip }}")), "{code}");
}
