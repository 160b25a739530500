//! What was sent, as the local run shows it on Notification's port: rendered, readable on a telephone, and harmless.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::browser::{Page, View};
use crate::shop::origin;
use crate::system;

const WIDE: View = View { width: 1200, dark: false, time_zone: "Europe/Berlin" };
const NARROW: View = View { width: 360, dark: true, time_zone: "Europe/Berlin" };

/// What would run if it became HTML, or were rendered with rights.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>";

/// Sends a mail past our services, none of which would send such a one.
async fn send_hostile_mail() {
    let content = |data: &str| json!({ "Data": data });
    let body = json!({
        "FromEmailAddress": "no-reply@example.com",
        "Destination": { "ToAddresses": ["stranger@example.com"] },
        "Content": { "Simple": {
            "Subject": content(HOSTILE),
            "Body": { "Text": content(HOSTILE), "Html": content(&format!("<p>Rendered</p>{HOSTILE}")) },
        } },
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v2/email/outbound-emails", system().addresses.emulator);
    let call = http.post(url).header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=0");
    let answer = call.json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// Waits until the list shows all of these.
async fn until_listed(texts: &[&str]) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let list =
            http.get(format!("{}/", origin("notification"))).send().await.unwrap().text().await.unwrap();
        if texts.iter().all(|text| list.contains(text)) {
            return;
        }
        assert!(Instant::now() < deadline, "{texts:?} are not listed: {list}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Opens the mail to an address from the list.
async fn open_mail(page: &Page, to: &str) {
    page.run(&format!("location = '{}/'", origin("notification")), &[]).await;
    page.until("document.querySelector('h1')?.textContent === 'Outbox'").await;
    let follow = "const row = [...document.querySelectorAll('tr')].find((row) => row.textContent.includes(arguments[0]));
        row.querySelector('a').click();";
    page.run(follow, &[to]).await;
    page.until("document.querySelector('iframe')").await;
}

#[tokio::test]
#[ignore = "needs Chromium; see README: cargo test -p tests --test browser -- --ignored"]
async fn what_was_sent_is_listed_and_rendered_and_hostile_mail_does_nothing() {
    send_hostile_mail().await;
    // The demo user hears of the demo order.
    until_listed(&["mahindra@example.com", "stranger@example.com"]).await;
    let page = Page::open(&format!("{}/", origin("notification")), WIDE, "outbox").await;
    page.until("document.querySelector('table')").await;
    let list = page.text("body").await;
    assert!(list.contains(HOSTILE), "a subject is text: {list}");
    page.assert_sound().await;
    page.screenshot("list", WIDE).await;

    open_mail(&page, "mahindra@example.com").await;
    assert!(page.text("h1").await.contains("order"), "the subject");
    assert!(page.text("pre").await.contains("Coffee beans"), "the lines of the order");
    assert_eq!(page.run("return document.querySelector('iframe').getAttribute('sandbox')", &[]).await, "");
    for view in [WIDE, NARROW] {
        page.look(view).await;
        page.assert_sound().await;
        page.screenshot("mail", view).await;
    }
    // The mail by itself, as a mail program shows it.
    page.run("location = document.querySelector('iframe').src", &[]).await;
    page.until("document.body.innerText.includes('Coffee beans')").await;
    for view in [WIDE, NARROW] {
        page.look(view).await;
        page.assert_sound().await;
    }

    open_mail(&page, "stranger@example.com").await;
    page.screenshot("hostile", NARROW).await;
    assert_eq!(page.run("return window.hacked ?? null", &[]).await, Value::Null);
    page.run("location = document.querySelector('iframe').src", &[]).await;
    page.until("document.body.innerText.includes('Rendered')").await;
    assert_eq!(page.run("return window.hacked ?? null", &[]).await, Value::Null, "also outside of the frame");
}
