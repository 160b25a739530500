//! What a function counts, as CloudWatch reads it. One test: the recorder is the whole process's.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::Env;
use shared::http::Json;
use shared::metrics;
use shared::money::Money;
use shared::problem::Problem;
use shared::routes::{Access, Routes, Service};
use shared::testing::{call, issuer};

/// What the functions print.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    /// What was counted since the last call: one document for each set of dimensions.
    fn take(&self) -> Vec<Value> {
        let lines = std::mem::take(&mut *self.0.lock().expect("one thread"));
        let lines = String::from_utf8(lines).expect("text");
        assert!(lines.is_empty() || lines.ends_with('\n'), "{lines}");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// The values of a document that is as the specification has it, with the units and the dimensions besides the service.
fn read(document: &Value) -> (BTreeMap<String, String>, BTreeMap<String, Value>) {
    assert!(document["_aws"]["Timestamp"].as_u64() > Some(1_700_000_000_000), "milliseconds: {document}");
    let directives = &document["_aws"]["CloudWatchMetrics"];
    assert_eq!(directives.as_array().map(Vec::len), Some(1), "{document}");
    let directive = &directives[0];
    assert_eq!(directive["Namespace"], "shop");
    let sets = directive["Dimensions"].as_array().expect("sets of dimensions");
    assert_eq!(sets.len(), 1, "each more is paid for: {document}");
    // Each dimension is a member with a string, each metric one with a number or up to a hundred of them.
    let name = |value: &Value| value.as_str().expect("a text").to_owned();
    let dimensions = sets[0].as_array().expect("a set").iter().map(name);
    let mut dimensions: BTreeMap<_, _> =
        dimensions.map(|dimension| (dimension.clone(), name(&document[&dimension]))).collect();
    assert_eq!(dimensions.remove("service").as_deref(), Some("demo"));
    let values = directive["Metrics"].as_array().expect("metrics").iter().map(|metric| {
        let value = &document[name(&metric["Name"])];
        let numbers =
            value.as_array().map_or(1, |values| values.iter().filter(|value| value.is_number()).count());
        assert!(value.is_number() || (1..=100).contains(&numbers), "{document}");
        (name(&metric["Name"]), json!([value, metric["Unit"]]))
    });
    (dimensions, values.collect())
}

#[tokio::test]
async fn what_happened_is_counted_in_one_line_and_one_more_for_each_further_dimension() {
    let printed = Printed::default();
    let counted = || printed.take();
    metrics::init_to(&Env::of([("METRICS_NAMESPACE", "shop")]), "demo", printed.clone());
    let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
    let eur = |amount| Money::new(amount, "EUR".parse().unwrap());
    let declared = Routes::new("demo")
        .get("/fails", Access::Public, || async { Err::<Json<()>, _>(Problem::unavailable(1)) })
        .get("/mine", Access::Caller, || async { Json(()) })
        .get("/shop", Access::Public, move || async move {
            metrics::order();
            metrics::charge("succeeded");
            metrics::revenue(eur(1999));
            metrics::revenue(eur(1));
            Json(())
        });
    let service = Service::new(issuer().verifier(&clock), Vec::new());
    let router = declared.into_router((), service);
    let get = |path: &'static str| call(Method::GET, path);
    let _answer = get("/shop").send(&router).await.expect(StatusCode::OK);
    let shop = counted();
    let [own, revenue, charges] = shop.as_slice() else { panic!("{shop:?}") };
    let (dimensions, mut values) = read(own);
    let latency = values.remove("Latency").unwrap();
    assert!(latency[0][0].as_f64().is_some_and(|latency| latency >= 0.0), "{latency}");
    assert_eq!(latency[1], "Milliseconds");
    let one = |name: &str| (name.to_owned(), json!([1, "Count"]));
    assert_eq!(
        (dimensions, values),
        (BTreeMap::new(), BTreeMap::from(["ColdStarts", "Orders", "Requests"].map(one)))
    );
    let by = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let of = |name: &str, value: Value| BTreeMap::from([(name.to_owned(), value)]);
    assert_eq!(read(revenue), (by("currency", "EUR"), of("Revenue", json!([2000, null]))));
    assert_eq!(read(charges), (by("outcome", "succeeded"), of("Charges", json!([1, "Count"]))));

    let _answer = get("/fails").send(&router).await.expect(StatusCode::SERVICE_UNAVAILABLE);
    let [fails] = <[Value; 1]>::try_from(counted()).unwrap();
    let (_, mut values) = read(&fails);
    values.remove("Latency").unwrap();
    assert_eq!(values, BTreeMap::from(["Errors", "Requests"].map(one)));

    let now = clock.now();
    let expired = issuer().token(uuid::Uuid::nil(), now - jiff::SignedDuration::from_hours(24));
    let _answer = get("/mine").token(&expired).send(&router).await.expect(StatusCode::UNAUTHORIZED);
    let [_own, refused] = <[Value; 2]>::try_from(counted()).unwrap();
    assert_eq!(read(&refused), (by("reason", "expired"), of("VerificationFailures", json!([1, "Count"]))));

    let _answer = get("/mine").send(&router).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(counted().len(), 1, "no token is no failure of verification");
}
