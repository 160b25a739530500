//! The real clients, against a server on loopback that misbehaves.

use shared::mail::Mail;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn sender(port: u16) -> AwsSender {
    let endpoint = format!("http://127.0.0.1:{port}");
    let env = Env::of([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("EMAIL_SENDER", "shop@example.com"),
        ("EMAIL_CONFIGURATION_SET", "mail-events"),
    ]);
    AwsSender::new(&env, &Aws::new(&env).unwrap()).unwrap()
}

fn message() -> Message {
    let text = |text: &str| text.to_owned();
    let mail = Mail { subject: text("The subject"), text: text("The text"), html: text("<p>") };
    Message { mail, sms: text("The SMS") }
}

fn envelope() -> Envelope {
    Envelope {
        headers: vec![("List-Unsubscribe", "<https://x>".to_owned())],
        tags: vec![("user", "u-1".to_owned())],
    }
}

/// Sends one message to a server that answers every request with `answer` (empty: hangs up); the result, and all
/// requests that the server got.
async fn exchange(channel: &str, answer: String) -> (Result<String, SendError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sender = sender(listener.local_addr().unwrap().port());
    let mut requests = Vec::new();
    let server = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !complete(&request) {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "a whole request");
            }
            requests.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    let send = async {
        if channel == "sms" {
            sender.sms(&"+15551234567".to_owned().try_into().unwrap(), &message()).await
        } else {
            sender.email(&"ann@example.com".to_owned().try_into().unwrap(), &message(), &envelope()).await
        }
    };
    let result = tokio::select! {
        result = send => result,
        () = server => unreachable!("the server goes on for ever"),
    };
    (result, requests)
}

/// Whether head and body are there.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_mail_goes_to_ses() {
    let (result, requests) = exchange("email", answer("200 OK", "", r#"{"MessageId":"m-1"}"#)).await;
    assert_eq!(result, Ok("m-1".to_owned()));
    let [request] = requests.try_into().unwrap();
    assert!(request.starts_with("POST /v2/email/outbound-emails "), "{request}");
    let body: serde_json::Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["FromEmailAddress"], "shop@example.com");
    assert_eq!(body["ConfigurationSetName"], "mail-events");
    assert_eq!(body["EmailTags"], serde_json::json!([{ "Name": "user", "Value": "u-1" }]));
    let headers = serde_json::json!([{ "Name": "List-Unsubscribe", "Value": "<https://x>" }]);
    assert_eq!(body["Content"]["Simple"]["Headers"], headers);
    assert_eq!(body["Destination"]["ToAddresses"], serde_json::json!(["ann@example.com"]));
    assert_eq!(body["Content"]["Simple"]["Subject"]["Data"], "The subject");
    assert_eq!(body["Content"]["Simple"]["Body"]["Text"]["Data"], "The text");
    assert_eq!(body["Content"]["Simple"]["Body"]["Html"]["Data"], "<p>");
}

#[tokio::test]
async fn an_sms_goes_to_sns() {
    let body = "<PublishResponse><PublishResult><MessageId>m-2</MessageId></PublishResult></PublishResponse>";
    let (result, requests) = exchange("sms", answer("200 OK", "", body)).await;
    assert_eq!(result, Ok("m-2".to_owned()));
    let [request] = requests.try_into().unwrap();
    for part in
        ["Action=Publish", "PhoneNumber=%2B15551234567", "Message=The%20SMS", "StringValue=Transactional"]
    {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[tokio::test]
async fn every_failure_is_told_for_what_it_is_and_no_call_is_repeated() {
    let coded = |status: &str, code: &str| {
        answer(status, &format!("x-amzn-errortype: {code}\r\n"), r#"{"message":"to ann@example.com"}"#)
    };
    let failed = |reason: &str| SendError::Failed(reason.to_owned());
    let rejected = |reason: &str| SendError::Rejected(reason.to_owned());
    let sns_error = |code: &str| {
        answer(
            "400 Bad Request",
            "",
            &format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"),
        )
    };
    for (channel, answer, expected) in [
        (
            "email",
            coded("429 Too Many Requests", "TooManyRequestsException"),
            failed("TooManyRequestsException"),
        ),
        ("email", coded("400 Bad Request", "SendingPausedException"), failed("SendingPausedException")),
        ("email", coded("503 Service Unavailable", "ServiceUnavailable"), failed("ServiceUnavailable")),
        (
            "email",
            coded("500 Internal Server Error", "InternalFailure"),
            SendError::Unknown("an internal failure"),
        ),
        ("email", coded("400 Bad Request", "MessageRejected"), rejected("MessageRejected")),
        ("email", coded("400 Bad Request", "BadRequestException"), rejected("BadRequestException")),
        (
            "email",
            answer("502 Bad Gateway", "", "<html>"),
            SendError::Unknown("an error answer without a code"),
        ),
        ("email", String::new(), SendError::Unknown("the connection broke")),
        ("sms", sns_error("Throttled"), failed("Throttled")),
        ("sms", sns_error("InvalidParameter"), rejected("InvalidParameter")),
        ("sms", String::new(), SendError::Unknown("the connection broke")),
    ] {
        let (result, requests) = exchange(channel, answer).await;
        assert_eq!(result, Err(expected.clone()));
        assert_eq!(requests.len(), 1, "{expected:?}");
        assert!(!expected.to_string().contains("example.com"));
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_certainly_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let to = "ann@example.com".to_owned().try_into().unwrap();
    let result = sender(port).email(&to, &message(), &envelope()).await;
    assert_eq!(result, Err(SendError::Failed("connection refused".to_owned())));
}
