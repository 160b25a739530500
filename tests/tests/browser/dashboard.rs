//! The dashboard: it shows what the API says, to admins alone, and whatever anybody called a product does nothing.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::browser::{Page, View};
use crate::shop::{PASSWORD, User, act, admin, customer, get, origin, unique};

const WIDE: View = View { width: 1440, dark: false, time_zone: "Europe/Berlin" };
const NARROW: View = View { width: 360, dark: true, time_zone: "Europe/Berlin" };

/// What would run if it became HTML.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";

/// `WebDriver`'s code point of a key.
const ARROW_RIGHT: &str = "\u{e014}";

async fn open(view: View, name: &'static str) -> Page {
    Page::open(&format!("{}/analytics/dashboard", origin("analytics")), view, name).await
}

async fn sign_in(page: &Page, name: &str, password: &str) {
    page.fill("#username", name).await;
    page.fill("#password", password).await;
    page.click("#sign-in [type=submit]").await;
}

/// People look at products, one of them buys; returns once the figures tell.
async fn trade(admin: &User) {
    let (product, buyer) = (unique("p"), customer().await);
    let catalogued = json!({
        "name": HOSTILE,
        "description": HOSTILE,
        "price": { "amount": 1999, "currency": "EUR" },
        "stock": 9,
    });
    act(Some(admin), Method::PUT, &format!("/products/{product}"), &catalogued).await;
    let looks = |who: &str| {
        let seen = json!({ "product_id": product });
        [
            json!({ "name": "page_view", "anonymous_id": who }),
            json!({ "name": "product_view", "anonymous_id": who, "properties": seen }),
        ]
    };
    let mut events: Vec<Value> = ["<b>a</b>", HOSTILE, "c"].into_iter().flat_map(looks).collect();
    events.push(json!({ "name": "search", "anonymous_id": "c", "properties": { "query": HOSTILE } }));
    act(None, Method::POST, "/events", &json!({ "events": events })).await;
    let own: Vec<_> = looks("d").into_iter().collect();
    act(Some(&buyer), Method::POST, "/events", &json!({ "events": own })).await;
    let item = format!("/cart/items/{product}");
    act(Some(&buyer), Method::PUT, &item, &json!({ "quantity": 2 })).await;
    act(Some(&buyer), Method::POST, "/orders", &Value::Null).await;
    let pay = json!({ "payment_method": "pm_card_visa" });
    let receipt = act(Some(&buyer), Method::POST, "/pay", &pay).await;
    let refund = json!({ "amount": { "amount": 500, "currency": "EUR" }, "reason": "Damaged" });
    let path = format!("/payments/{}/refund", receipt["payment_id"].as_str().unwrap());
    act(Some(admin), Method::POST, &path, &refund).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let sums = get(admin, "/analytics/summary").await["total"].take();
        let paid = sums["orders"]["paid"] == 1 && sums["events"]["payment_succeeded"] == 1;
        if paid && sums["events"]["product_view"] == 4 && sums["refunds"] != json!([]) {
            return;
        }
        assert!(Instant::now() < deadline, "the figures do not tell: {sums}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// The texts of a table's cells: each row by the names of its columns.
async fn rows(page: &Page, card: &str) -> Vec<Map<String, Value>> {
    let script = "const text = (cells) => [...cells].map((cell) => cell.textContent);
        const table = document.querySelector(`#${arguments[0]} table`);
        const names = text(table.tHead.rows[0].cells);
        return [...table.tBodies[0].rows].map((row) =>
            Object.fromEntries(text(row.cells).map((value, index) => [names[index], value])));";
    serde_json::from_value(page.run(script, &[card]).await).unwrap()
}

fn euros(list: &Value) -> String {
    let amount = list.as_array().unwrap().iter().find(|money| money["currency"] == "EUR");
    let amount = amount.map_or(0, |money| money["amount"].as_u64().unwrap());
    format!("€{}.{:02}", amount / 100, amount % 100)
}

/// As the page writes shares in English: one decimal, unless it is 0.
fn percent(share: &Value) -> String {
    let Some(share) = share.as_f64() else { return "–".to_owned() };
    format!("{:.1}", share * 100.0).trim_end_matches(".0").to_owned() + "%"
}

/// The counts of one point by name, where a name that is missing counts 0.
fn assert_counts(shown: &Map<String, Value>, counts: &Value) {
    for (name, text) in shown.iter().filter(|(name, _)| *name != "From") {
        let count = counts[name.replace(' ', "_")].as_u64().unwrap_or_default();
        assert_eq!(*text, count.to_string(), "{name}");
    }
    for name in counts.as_object().unwrap().keys() {
        assert!(shown.contains_key(&name.replace('_', " ")), "{name} is shown");
    }
}

/// The days and the time zone that the page asks about.
async fn period(page: &Page) -> String {
    let ask = "const value = (id) => document.getElementById(id).value;
        return `from=${value('from')}&to=${value('to')}&time_zone=${value('time-zone')}`";
    page.run(ask, &[]).await.as_str().unwrap().to_owned()
}

/// Each number of the page against what the API answers to the same question.
async fn assert_shows_what_the_api_says(page: &Page, admin: &User) {
    let period = period(page).await;
    assert!(period.ends_with("time_zone=Europe/Berlin"), "the browser's own time zone: {period}");
    let series = get(admin, &format!("/analytics/timeseries?{period}&granularity=day")).await;
    let (total, points) = (&series["total"], series["points"].as_array().unwrap());
    assert_eq!(points.len(), 30);

    let funnel = get(admin, &format!("/analytics/funnel?{period}")).await;
    let stages = funnel["total"]["stages"].as_array().unwrap();
    let people = |stage: usize| stages[stage]["people"].as_f64().unwrap();
    for (name, expected) in [
        ("visitors", total["visitors"].to_string()),
        ("paid", total["orders"]["paid"].to_string()),
        ("revenue", euros(&total["revenue"])),
        ("refunds", euros(&total["refunds"])),
        ("conversion", percent(&json!(people(3) / people(0)))),
    ] {
        let shown = page.text(&format!("[data-figure={name}] dd")).await;
        assert_eq!(shown, expected, "{name}");
    }
    let (visitors, events) = (rows(page, "visitors").await, rows(page, "events").await);
    let (revenue, orders) = (rows(page, "revenue").await, rows(page, "orders").await);
    for table in [&visitors, &events, &revenue, &orders] {
        assert_eq!(table.len(), points.len());
    }
    for (index, point) in points.iter().enumerate() {
        assert_eq!(visitors[index]["Visitors"], point["visitors"].to_string());
        assert_eq!(revenue[index]["Revenue in EUR"], euros(&point["revenue"]));
        assert_eq!(revenue[index]["Refunds in EUR"], euros(&point["refunds"]));
        assert_counts(&events[index], &point["events"]);
        assert_counts(&orders[index], &point["orders"]);
    }
    for (shown, stage) in rows(page, "funnel").await.iter().zip(stages) {
        assert_eq!(shown["People"], stage["people"].to_string());
        assert_eq!(shown["Of those before"], percent(&stage["of_previous"]));
    }
    let question = format!("/analytics/top-products?{period}&by=revenue&currency=EUR&limit=10");
    let products = get(admin, &question).await["total"]["products"].take();
    let shown = rows(page, "products").await;
    assert_eq!(shown.len(), products.as_array().unwrap().len());
    for (shown, product) in shown.iter().zip(products.as_array().unwrap()) {
        for (column, key) in [("Views", "views"), ("Carts", "carts"), ("Units", "units")] {
            assert_eq!(shown[column], product[key].to_string(), "{column}");
        }
        assert_eq!(shown["Revenue"], euros(&product["revenue"]));
    }
    assert!(shown.iter().any(|row| row["Product"] == HOSTILE), "the catalogue's names, as text: {shown:?}");
    let to = series["to"].as_str().unwrap();
    let from: jiff::civil::Date = to.parse().unwrap();
    let from = from.checked_sub(jiff::Span::new().days(55)).unwrap();
    let cohorts = get(admin, &format!("/analytics/cohorts?from={from}&to={to}")).await["cohorts"].take();
    let (shown, cohorts) = (rows(page, "cohorts").await, cohorts.as_array().unwrap());
    let first = cohorts.iter().position(|cohort| cohort["people"] != 0).expect("somebody came");
    assert_eq!(shown.len(), cohorts.len() - first);
    for (shown, cohort) in shown.iter().zip(&cohorts[first..]) {
        assert_eq!(shown["People"], cohort["people"].to_string());
        for retained in cohort["retained"].as_array().unwrap() {
            let column = match retained["weeks_later"].as_u64().unwrap() {
                0 => "Same week".to_owned(),
                later => format!("+{later}"),
            };
            assert_eq!(shown[&column], percent(&retained["share"]), "{column}");
        }
    }
}

async fn assert_every_granularity_is_drawn(page: &Page, admin: &User) {
    page.look(WIDE).await;
    page.click("[data-days='7']").await;
    for granularity in ["hour", "week", "month"] {
        let choose = "const select = document.getElementById('granularity');
            select.value = arguments[0];
            select.dispatchEvent(new Event('change'));";
        page.run(choose, &[granularity]).await;
        let question = format!("/analytics/timeseries?{}&granularity={granularity}", period(page).await);
        let points = get(admin, &question).await["points"].as_array().unwrap().len();
        page.until(&format!("document.querySelectorAll('#visitors tbody tr').length === {points}")).await;
        page.assert_sound().await;
        page.screenshot(granularity, WIDE).await;
    }
}

async fn assert_the_figures_are_downloaded(page: &Page) {
    let directory = page.downloads().await;
    page.click("#visitors .head button").await;
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let mut files = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path());
        if let Some(file) = files.find(|file| file.extension().is_some_and(|extension| extension == "csv")) {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.starts_with("start,metric,key,value,currency"), "{text}");
            return;
        }
        assert!(Instant::now() < deadline, "nothing was downloaded");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "needs Chromium; see README: cargo test -p tests --test browser -- --ignored"]
async fn an_admin_sees_what_the_api_says_and_hostile_names_do_nothing() {
    let admin = admin().await;
    let page = open(WIDE, "dashboard").await;
    page.until("document.activeElement.id === 'username'").await;
    page.screenshot("sign-in", WIDE).await;
    sign_in(&page, &admin.name, PASSWORD).await;
    page.until("document.getElementById('status').textContent.includes('as of')").await;
    // Long before the demo data.
    let long_ago = "document.getElementById('from').value = '2020-01-01';
        document.getElementById('to').value = '2020-01-07';
        document.getElementById('to').dispatchEvent(new Event('change'));";
    page.run(long_ago, &[]).await;
    page.until("!document.getElementById('empty').hidden").await;
    assert!(page.text("#empty").await.contains("cargo local simulate"));
    assert!(page.text("#figures").await.is_empty());
    page.screenshot("empty", WIDE).await;

    trade(&admin).await;
    page.click("[data-days='30']").await;
    page.until("document.getElementById('products-by')?.value === 'revenue'").await;
    page.until("document.querySelector('[data-figure=paid] dd')?.textContent === '1'").await;
    page.until("!document.getElementById('figures').hasAttribute('aria-busy')").await;
    assert_shows_what_the_api_says(&page, &admin).await;
    page.assert_sound().await;
    page.screenshot("figures", WIDE).await;

    // The last of the points, by the keyboard alone.
    page.press("#visitors .plot", "\u{e010}").await;
    page.until("document.querySelector('#visitors .tip').innerText.includes('Visitors: ')").await;
    page.press("#visitors .plot", ARROW_RIGHT).await;
    page.until("!document.querySelector('#visitors .tip').hidden").await;
    page.screenshot("tip", WIDE).await;
    page.run("document.querySelectorAll('details').forEach((details) => (details.open = true))", &[]).await;

    page.look(NARROW).await;
    page.until("getComputedStyle(document.body).backgroundColor === 'rgb(14, 17, 22)'").await;
    assert_shows_what_the_api_says(&page, &admin).await;
    page.assert_sound().await;
    page.screenshot("figures", NARROW).await;
    page.look(View { width: 320, ..NARROW }).await;
    page.assert_sound().await;
    assert_eq!(page.run("return window.hacked ?? null", &[]).await, Value::Null);
    assert_eq!(page.run("return document.querySelectorAll('main img, main script').length", &[]).await, 0);

    assert_every_granularity_is_drawn(&page, &admin).await;
    assert_the_figures_are_downloaded(&page).await;

    page.click("#sign-out").await;
    page.until("!document.getElementById('sign-in').hidden").await;
    assert_eq!(page.run("return localStorage.length + sessionStorage.length", &[]).await, 0);
    page.assert_sound().await;
}

#[tokio::test]
#[ignore = "needs Chromium; see README: cargo test -p tests --test browser -- --ignored"]
async fn who_is_no_admin_is_told_so_and_a_wrong_password_too() {
    let customer = customer().await;
    let page = open(NARROW, "customer").await;
    sign_in(&page, &customer.name, "another horse battery staple").await;
    page.until("document.getElementById('sign-in-error').textContent").await;
    assert!(page.text("#sign-in-error").await.contains("wrong"));
    assert!(page.text("#dashboard").await.is_empty(), "nothing is shown without a token");
    sign_in(&page, &customer.name, PASSWORD).await;
    page.until("!document.getElementById('forbidden').hidden").await;
    assert!(page.text("#forbidden").await.contains("admin"));
    assert!(page.text("#dashboard").await.is_empty(), "nor with a customer's");
    page.screenshot("forbidden", NARROW).await;
    // The browser writes the 401 and the 403 themselves to the console, and nothing else.
    let console = page.console().await;
    assert!(
        console.iter().all(|line| line.contains("the server responded with a status of 40")),
        "{console:?}"
    );
    page.click("#sign-out").await;
    page.until("!document.getElementById('sign-in').hidden").await;
    page.assert_sound().await;
}
