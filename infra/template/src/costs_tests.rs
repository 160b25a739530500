//! `infra/costs.md`, computed: prices and assumptions are here, units in the services' READMEs, the rest in the template.

use std::fmt::Write as _;

use super::*;

/// A region's list prices in USD, of 2026-01.
struct Prices {
    region: &'static str,
    /// Per million requests of an HTTP API.
    api: f64,
    /// Per million invocations.
    invocations: f64,
    /// Per second of a GB, arm64.
    gigabyte_second: f64,
    /// Per million.
    read_units: f64,
    /// Per million.
    write_units: f64,
    /// Per GB of log taken in.
    logs: f64,
    /// Per million traces recorded.
    traces: f64,
    /// Per month.
    secret: f64,
    /// Per metric that an alarm watches, and month.
    alarm: f64,
}

const PRICES: [Prices; 2] = [
    Prices {
        region: "us-east-1",
        api: 1.0,
        invocations: 0.2,
        gigabyte_second: 0.000_013_333_4,
        read_units: 0.125,
        write_units: 0.625,
        logs: 0.5,
        traces: 5.0,
        secret: 0.4,
        alarm: 0.1,
    },
    Prices {
        region: "eu-central-1",
        api: 1.2,
        invocations: 0.2,
        gigabyte_second: 0.000_013_333_4,
        read_units: 0.1525,
        write_units: 0.7625,
        logs: 0.63,
        traces: 5.0,
        secret: 0.4,
        alarm: 0.1,
    },
];

// Assumed; `infra/costs.md` says how to find the truth.
const BASE_MILLISECONDS: f64 = 3.0;
const MILLISECONDS_PER_ROUND_TRIP: f64 = 6.0;
const MILLISECONDS_PER_HASH: f64 = 130.0;
const LOG_GIGABYTES_PER_MILLION: f64 = 2.0;
const TRACED: f64 = 0.05;

const MINUTES_PER_MONTH: f64 = 43_800.0;
/// What the schedules ask their indexes in a minute: the expiry one, the reconciler two, the deferred one; each half a unit.
const IDLE_READ_UNITS_PER_MINUTE: f64 = 2.0;

/// The routes that are asked for most, and whether they hash a password.
const ROUTES: [(&str, &str, bool); 14] = [
    ("auth", "POST /register", true),
    ("auth", "POST /login", true),
    ("auth", "POST /refresh", false),
    ("user", "GET /profile", false),
    ("cart", "GET /products", false),
    ("cart", "GET /products/{id}", false),
    ("cart", "GET /cart", false),
    ("cart", "PUT /cart/items/{product_id}", false),
    ("order", "POST /orders", false),
    ("order", "GET /orders", false),
    ("payment", "POST /pay", false),
    ("notification", "GET /notifications", false),
    ("analytics", "POST /events", false),
    ("analytics", "GET /analytics/summary", false),
];

/// Round trips, read units and write units, as the service's README has them.
fn units(service: &str, route: &str) -> [f64; 3] {
    let readme = workspace_root().join("functions").join(service).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    let (_, costs) = readme.split_once("## What it costs").expect("what it costs");
    let row = costs.lines().find_map(|line| line.strip_prefix(&format!("| `{route}` | ")));
    let cells = row.unwrap_or_else(|| panic!("{service} does not say what {route} costs")).split('|');
    // `4: order, intent, charge, finish`, `0.5 and more`
    let number = |cell: &str| {
        let end = cell.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
        let digits = &cell[..end.unwrap_or(cell.len())];
        digits.parse().unwrap_or_else(|_| panic!("{route}: {cell:?} is no number"))
    };
    let cells: Vec<f64> = cells.map(str::trim).filter(|cell| !cell.is_empty()).map(number).collect();
    <[f64; 3]>::try_from(cells).unwrap_or_else(|cells| panic!("{route}: {cells:?}"))
}

fn gigabytes(template: &Template, function: &str) -> f64 {
    let id = &template.function(function).expect("a function").logical_id;
    template.resources[id].properties["MemorySize"].as_f64().expect("MemorySize") / 1024.0
}

fn requests(template: &Template) -> String {
    let mut table = "| route | billed ms | read units | write units |".to_owned();
    for prices in PRICES {
        write!(table, " {} |", prices.region).expect("memory");
    }
    table += "\n|---|---|---|---|---|---|\n";
    for (service, route, hashes) in ROUTES {
        let [round_trips, reads, writes] = units(service, route);
        let hash = if hashes { MILLISECONDS_PER_HASH } else { 0.0 };
        let milliseconds = BASE_MILLISECONDS + MILLISECONDS_PER_ROUND_TRIP * round_trips + hash;
        write!(table, "| `{route}` | {milliseconds} | {reads} | {writes} |").expect("memory");
        for prices in PRICES {
            // A million milliseconds are a thousand seconds.
            let time = milliseconds * 1000.0 * gigabytes(template, service) * prices.gigabyte_second;
            let tables = reads * prices.read_units + writes * prices.write_units;
            let watching = LOG_GIGABYTES_PER_MILLION * prices.logs + TRACED * prices.traces;
            let sum = prices.api + prices.invocations + time + tables + watching;
            write!(table, " {sum:.2} |").expect("memory");
        }
        table += "\n";
    }
    table
}

fn idle(template: &Template) -> String {
    let every_minute =
        template.functions().iter().filter(|function| !function.schedules.is_empty()).inspect(|function| {
            assert!(function.schedules.iter().all(|schedule| schedule.expression == "rate(1 minute)"));
        });
    let runs: Vec<f64> = every_minute.map(|function| gigabytes(template, &function.name)).collect();
    let count = |number: usize| f64::from(u32::try_from(number).expect("few"));
    let millions = count(runs.len()) * MINUTES_PER_MONTH / 1e6;
    let alarms = template.resources.values().filter(|resource| resource.kind == "AWS::CloudWatch::Alarm");
    let watched = alarms.map(|alarm| match &alarm.properties["Metrics"] {
        Value::Array(parts) => parts.iter().filter(|part| part.get("MetricStat").is_some()).count(),
        _ => 1,
    });
    let watched: usize = watched.sum();
    let secrets = template.secrets().len();
    let lines = |prices: &Prices| {
        let seconds = (BASE_MILLISECONDS + 2.0 * MILLISECONDS_PER_ROUND_TRIP) / 1000.0;
        let time: f64 = runs.iter().map(|gigabytes| gigabytes * seconds * MINUTES_PER_MONTH).sum();
        let reads = IDLE_READ_UNITS_PER_MINUTE * MINUTES_PER_MONTH / 1e6;
        [
            count(watched) * prices.alarm,
            count(secrets) * prices.secret,
            millions * prices.invocations + time * prices.gigabyte_second,
            reads * prices.read_units,
            millions * (LOG_GIGABYTES_PER_MILLION * prices.logs + TRACED * prices.traces),
        ]
    };
    let [one, other] = PRICES.map(|prices| lines(&prices));
    let names = [
        format!("alarms, of {watched} metrics"),
        format!("secrets, {secrets}"),
        format!("schedules, {} every minute", runs.len()),
        "their reads".to_owned(),
        "their logs and traces".to_owned(),
    ];
    let mut table = format!("| what | {} | {} |\n|---|---|---|\n", PRICES[0].region, PRICES[1].region);
    for (name, (one, other)) in names.iter().zip(one.iter().zip(&other)) {
        writeln!(table, "| {name} | {one:.2} | {other:.2} |").expect("memory");
    }
    let sum = |lines: &[f64]| lines.iter().sum::<f64>();
    table + &format!("| together | {:.2} | {:.2} |\n", sum(&one), sum(&other))
}

/// With what is between `<!-- name -->` and the end of it replaced.
fn replaced(text: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect("a place for the table");
    let (_, after) = rest.split_once("<!-- end -->").expect("an end of the table");
    format!("{before}{begin}{table}<!-- end -->{after}")
}

#[test]
fn the_table_of_costs_is_up_to_date() {
    let template = Template::load(&workspace_root(), &BTreeMap::new()).expect("template.yaml loads");
    let path = workspace_root().join("infra/costs.md");
    let text = std::fs::read_to_string(&path).expect("infra/costs.md");
    let current = replaced(&replaced(&text, "requests", &requests(&template)), "idle", &idle(&template));
    if std::env::var_os("UPDATE_COSTS").is_some() {
        std::fs::write(path, current).expect("infra/costs.md can be written");
    } else {
        assert!(text == current, "infra/costs.md: UPDATE_COSTS=1 cargo test -p template costs\n{current}");
    }
}
