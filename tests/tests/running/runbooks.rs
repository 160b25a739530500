//! The runbooks of `infra/README.md`, followed to the letter on a deployed stack, by `cargo local deploy`.

use std::path::PathBuf;
use std::process::Command;

use http::Method;
use serde_json::{Value, json};
use template::workspace_root;

use crate::client::{Client, User};
use crate::keys::secret;
use crate::sessions::refresh;
use crate::{directory, system};

/// Names the search path on which the command lines are found that reach the deployed stack.
const TOOLS: &str = "RUNBOOK_TOOLS";
/// What no emulator has, and why.
const NOT_FOLLOWED: [&str; 1] = ["Roll back"]; // CloudFormation there never gets stuck; `cargo local deploy --from` goes back.

/// The page, and which of its sections were followed.
struct Page {
    text: String,
    work: PathBuf,
    followed: Vec<&'static str>,
}

impl Page {
    fn read() -> Self {
        let work = directory().join("runbooks");
        std::fs::create_dir_all(&work).unwrap();
        let text = std::fs::read_to_string(workspace_root().join("infra/README.md")).unwrap();
        Self { text, work, followed: Vec::new() }
    }

    /// The lines below a heading, up to the next of any level.
    fn section(&self, heading: &str) -> String {
        let is_it = |line: &&str| line.starts_with('#') && line.trim_start_matches('#').trim() == heading;
        let mut lines = self.text.lines().skip_while(|line| !is_it(line));
        assert!(lines.next().is_some(), "no section {heading}");
        // A comment in a block of code begins like a heading.
        let mut code = false;
        let below = lines.take_while(|line| {
            code ^= line.starts_with("```");
            code || !line.starts_with('#')
        });
        below.collect::<Vec<_>>().join("\n")
    }

    /// The blocks of shell commands in a section.
    fn blocks(&self, heading: &str) -> Vec<String> {
        let section = self.section(heading);
        let blocks = section.split("```sh\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
    }

    /// Runs blocks of a section after the page's definitions, with what a reader puts in; what they print.
    fn follow(
        &mut self,
        heading: &'static str,
        blocks: impl FnOnce(&[String]) -> String,
        filled_in: &[(&str, &str)],
    ) -> String {
        let mut script = blocks(&self.blocks(heading));
        for (placeholder, value) in filled_in {
            assert!(script.contains(placeholder), "{heading} has no {placeholder}:\n{script}");
            script = script.replace(placeholder, value);
        }
        self.followed.push(heading);
        self.run(&script)
    }

    fn run(&self, script: &str) -> String {
        let definitions = self.blocks("Runbooks").concat();
        let environment = &system().addresses.environment;
        let aws = environment.iter().filter(|(name, _)| name.starts_with("AWS_"));
        let output = Command::new("bash")
            .args(["-c", &format!("{definitions}\n{script}")])
            .env_clear()
            .envs(aws)
            .env("AWS_DEFAULT_REGION", &environment["AWS_REGION"])
            .env("PATH", std::env::var_os(TOOLS).unwrap_or_else(|| panic!("{TOOLS} is not set")))
            .env("HOME", &self.work)
            .env("STACK", local::deploy::STACK)
            .current_dir(workspace_root())
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{}\n{out}\n{err}", output.status);
        std::fs::write(self.work.join("last.log"), format!("{script}\n{out}{err}")).unwrap();
        out.into_owned()
    }

    /// Every runbook was followed.
    fn assert_done(&self) {
        let runbooks = self.text.split("\n## Runbooks\n").nth(1).unwrap().split("\n## ").next().unwrap();
        let headings: Vec<_> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        assert!(headings.len() > NOT_FOLLOWED.len());
        for heading in headings {
            assert!(
                self.followed.contains(&heading) || NOT_FOLLOWED.contains(&heading),
                "{heading} was not followed"
            );
        }
    }
}

fn all(blocks: &[String]) -> String {
    blocks.concat()
}

/// One test, because they change the stack for each other.
#[tokio::test]
#[ignore = "needs a deployed stack: `cargo local deploy`"]
async fn are_followed() {
    let client = Client::new();
    let mut page = Page::read();
    stuck_payment(&mut page);
    dead_letters(&client, &mut page).await;
    restore(&client, &mut page).await;
    remove_user(&client, &mut page).await;
    rotate(&mut page).await;
    revoke_everything(&client, &mut page).await;
    leaked_key(&mut page).await;
    page.assert_done();
}

fn stuck_payment(page: &mut Page) {
    let printed = page.follow("A stuck payment", all, &[]);
    // No payment is listed: the first thing is what the reconciler did.
    let done: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&done["failed"], &done["taken"]), (&json!(0), &json!(0)), "nothing is stuck: {printed}");
}

/// A letter as Lambda writes it, of a record that is in the stream, goes to its worker and from the queue.
async fn dead_letters(client: &Client, page: &mut Page) {
    let user = client.new_user().await;
    let product = client.new_product(1).await;
    client.order(&user, &product, 1).await.expect(201);
    let queue = page.run(
        r#"
        stream=$(aws dynamodb describe-table --table-name "$(physical OrderTable)" --query Table.LatestStreamArn --output text)
        shard=$(aws dynamodbstreams describe-stream --stream-arn "$stream" --query 'StreamDescription.Shards[0].ShardId' --output text)
        iterator=$(aws dynamodbstreams get-shard-iterator --stream-arn "$stream" --shard-id "$shard" \
            --shard-iterator-type TRIM_HORIZON --query ShardIterator --output text)
        number=$(aws dynamodbstreams get-records --shard-iterator "$iterator" --query 'Records[-1].dynamodb.SequenceNumber' --output text)
        worker=$(aws lambda get-function-configuration --function-name "$(physical NotificationWorkerFunction)" --query FunctionArn --output text)
        letter=$(jq -nc --arg stream "$stream" --arg shard "$shard" --arg number "$number" --arg worker "$worker" '
            {requestContext: {functionArn: $worker, condition: "RetryAttemptsExhausted"},
             DDBStreamBatchInfo: {streamArn: $stream, shardId: $shard, startSequenceNumber: $number, endSequenceNumber: $number}}')
        url=$(physical NotificationDeadLetters)
        aws sqs send-message --queue-url "$url" --message-body "$letter" >/dev/null
        echo "${url##*/}"
        "#,
    );
    let queue = [("QUEUE...", queue.trim())];
    let printed = page.follow("Dead letters", all, &queue);
    assert!(printed.contains("1 delivered to") && printed.contains("deleted"), "{printed}");
    let again = page.follow("Dead letters", all, &queue);
    assert!(again.contains("no dead letters"), "{again}");
}

/// An order that was lost after the copy was made comes back as it was.
async fn restore(client: &Client, page: &mut Page) {
    let user = client.new_user().await;
    let product = client.new_product(1).await;
    let order = client.order(&user, &product, 1).await.expect(201);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let before = client.get("order", &path, &user.token).await.expect(200);
    let key = json!({"pk": {"S": format!("USER#{}", user.id)}, "sk": {"S": format!("ORDER#{}", order["id"].as_str().unwrap())}});
    let lose = format!("aws dynamodb delete-item --table-name \"$TABLE\" --key '{key}'\ninfra/restore.sh");
    let printed = page.follow("Restore a table", all, &[("infra/restore.sh", &lose)]);
    assert!(printed.lines().any(|line| line.starts_with("1 brought back, ")), "{printed}");
    assert_eq!(client.get("order", &path, &user.token).await.expect(200), before);
}

/// Whoever was removed cannot log in, and the name is free.
async fn remove_user(client: &Client, page: &mut Page) {
    let user = client.new_user().await;
    let admin = client.admin_token();
    let filled_in = [("<access token>", admin.as_str()), ("<username>", &user.username)];
    let printed = page.follow("Remove a user's data", all, &filled_in);
    assert!(printed.contains(&user.id.to_string()), "{printed}");
    let login = client.start_session(&user.username, &user.password).await;
    assert_eq!(login.status, 401, "{}", login.json);
    let User { username, password, email, .. } = &user;
    let body = json!({"username": username, "password": password, "email": email});
    let new = client.send(client.request(Method::POST, "auth", "/register").json(&body)).await.expect(201);
    assert_ne!(new["user_id"], user.id.to_string());
    let token = client.login(username, password).await;
    let profile = client.get("user", "/profile", &token).await.expect(200);
    assert_eq!(profile["phone"], Value::Null, "of the one who was removed: {profile}");
}

/// The keys that are accepted.
async fn accepted() -> Vec<String> {
    let keys = secret("VERIFICATION_KEYS_SECRET").await;
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn rotate(page: &mut Page) {
    let before = accepted().await;
    let printed = page.follow("Rotate now", |blocks| blocks[0].clone(), &[]);
    let after = accepted().await;
    assert_eq!(after.iter().filter(|kid| !before.contains(kid)).count(), 1, "{before:?} {after:?}");
    assert!(after.iter().all(|kid| printed.lines().any(|line| line == kid)), "{printed}");
}

async fn revoke_everything(client: &Client, page: &mut Page) {
    let user = client.new_user().await;
    let session = client.start_session(&user.username, &user.password).await.expect(200);
    let printed = page.follow("Revoke everything", all, &[]);
    assert!(printed.contains("ended_at"), "{printed}");
    assert_eq!(refresh(client, &session).await.status, 401);
    let refused = client.eventually("the access token is refused", || async {
        (client.get("user", "/profile", &user.token).await.status == 401).then_some(())
    });
    refused.await;
    // A login in that very second is ended with the others.
    let again = client.eventually("whoever logs in again is let in", || async {
        let token = client.login(&user.username, &user.password).await;
        (client.get("user", "/profile", &token).await.status == 200).then_some(())
    });
    again.await;
}

/// After two rotations none of the keys that were there before is left.
async fn leaked_key(page: &mut Page) {
    let before = accepted().await;
    rotate(page).await;
    rotate(page).await;
    let leaked = json!(before).to_string();
    page.follow("Rotate now", |blocks| blocks[1].clone(), &[("[\"<kid>\", \"<kid>\"]", &leaked)]);
    let left = accepted().await;
    assert!(left.len() == 2 && left.iter().all(|kid| !before.contains(kid)), "{left:?}");
}
