//! Too many attempts are answered by 429, and hurt nobody else.

use http::header::RETRY_AFTER;

use crate::client::{Answer, Client};

/// Guesses passwords of `username` until that is too much.
async fn guess(client: &Client, username: &str) -> (usize, Answer) {
    for attempt in 1..=50 {
        let answer = client.start_session(username, "not the password").await;
        if answer.status == 429 {
            return (attempt, answer);
        }
        assert_eq!(answer.status, 401, "{}", answer.json);
    }
    panic!("nothing stops a guesser");
}

#[tokio::test]
async fn guessing_is_slowed_down_whether_the_name_exists_or_not() {
    let client = Client::new();
    let (known, other) = (client.new_user().await, client.new_user().await);
    let unknown = format!("{}-x", known.username);
    let (attempts, refused) = guess(&client, &known.username).await;
    let (attempts_unknown, refused_unknown) = guess(&client, &unknown).await;
    assert_eq!(attempts, attempts_unknown);
    for answer in [&refused, &refused_unknown] {
        answer.assert_problem("too many");
        assert_eq!(answer.json["type"], refused.json["type"]);
        let seconds: u32 = answer.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=3600).contains(&seconds), "{seconds}");
    }
    let right = client.start_session(&known.username, &known.password).await;
    assert_eq!(right.status, 429, "a guess that is right is a guess");
    client.start_session(&other.username, &other.password).await.expect(200);
}
