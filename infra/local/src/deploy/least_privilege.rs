//! The functions' policies compared with what they asked for, both ways: nothing that they did is missing in the template, and nothing
//! is granted that none of them ever did.
//!
//! Not compared: conditions, what needs Stripe (whose statements are absent without `PaymentProvider=stripe`), and the rights that
//! SAM adds for logs, traces and the pollers of streams. `CloudTrail` there has no denied calls: the functions' log tells those.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use template::{Function, Statement, Template};

use super::calls::Call;

/// What is granted and not seen to be asked for in a rehearsal, and why it is needed all the same: function, action, and the end of
/// the resource.
const NOT_SEEN: [(&str, &str, &str, &str); 6] = [
    ("auth-mailer", SEND, "identity/*", NOT_RECORDED),
    ("auth-mailer", SEND, "configuration-set/MailEvents", NOT_RECORDED),
    ("notification-deferred", SEND, "identity/*", NOT_RECORDED),
    ("notification-deferred", SEND, "configuration-set/MailEvents", NOT_RECORDED),
    ("notification-worker", SEND, "identity/*", NOT_RECORDED),
    ("notification-worker", SEND, "configuration-set/MailEvents", NOT_RECORDED),
];
const SEND: &str = "ses:SendEmail";
const NOT_RECORDED: &str = "the emulator enforces the policies of SES's second API, and does not record its calls; the suite reads the mails";

/// How IAM refuses a call.
const DENIED: [&str; 2] = ["AccessDenied", "not authorized to perform"];

/// Fails with everything in which they differ. `log` is what the functions logged.
pub(super) fn check(template: &Template, calls: &BTreeSet<Call>, log: &str) -> Result<()> {
    ensure!(!calls.is_empty(), "no call was recorded");
    let mut differences = differences(template.functions(), calls, &NOT_SEEN);
    let denied = log.lines().filter(|line| DENIED.iter().any(|words| line.contains(words)));
    differences.extend(denied.map(str::to_owned));
    ensure!(
        differences.is_empty(),
        "what functions may do and what they did differ:\n{}",
        differences.join("\n")
    );
    Ok(())
}

fn differences(
    functions: &[Function],
    calls: &BTreeSet<Call>,
    not_seen: &[(&str, &str, &str, &str)],
) -> Vec<String> {
    let mut differences = Vec::new();
    for Call { function: name, action, resource } in calls {
        let function = functions.iter().find(|function| function.name == *name);
        let policies = function.map(|function| function.policies.as_slice()).unwrap_or_default();
        let covered = |effect: &str| {
            policies.iter().any(|statement| statement.effect == effect && statement.covers(action, resource))
        };
        if !covered("Allow") || covered("Deny") {
            differences.push(format!("{name} did {action} on {resource}, which its policies do not allow"));
        }
    }
    for function in functions {
        for grant in function.policies.iter().flat_map(grants) {
            let (action, resource) = (&grant.actions[0], &grant.resources[0]);
            let is_used = calls
                .iter()
                .any(|call| call.function == function.name && grant.covers(&call.action, &call.resource));
            let is_excused = not_seen.iter().any(|(excused, of, on, _)| {
                *excused == function.name && of == action && resource.ends_with(on)
            });
            if is_used == is_excused {
                let what = if is_used { "is excused from using, and uses," } else { "may, and never did," };
                differences.push(format!("{} {what} {action} on {resource}", function.name));
            }
        }
    }
    differences
}

/// A statement that allows something, taken apart: one action on one resource each.
fn grants(statement: &Statement) -> Vec<Statement> {
    if statement.effect != "Allow" {
        return Vec::new();
    }
    let mut grants = Vec::new();
    for action in &statement.actions {
        for resource in &statement.resources {
            let (actions, resources) = (vec![action.clone()], vec![resource.clone()]);
            grants.push(Statement { actions, resources, ..statement.clone() });
        }
    }
    grants
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TEMPLATE: &str = "
Resources:
  Orders: { Type: 'AWS::DynamoDB::Table' }
  F:
    Type: 'AWS::Serverless::Function'
    Metadata: { BuildProperties: { Binary: order } }
    Properties:
      Policies:
        - Statement:
            - { Effect: Allow, Action: ['dynamodb:GetItem', 'dynamodb:PutItem'], Resource: !GetAtt Orders.Arn }
            - { Effect: Deny, Action: 'dynamodb:PutItem', Resource: '*secret*' }
";

    fn found(calls: &[(&str, &str)], excused: &[(&str, &str, &str, &str)]) -> Vec<String> {
        let template = Template::parse(TEMPLATE, &BTreeMap::new()).unwrap();
        let calls = calls.iter().map(|(action, table)| Call {
            function: "order".to_owned(),
            action: (*action).to_owned(),
            resource: format!("arn:aws:dynamodb:us-east-1:000000000000:table/{table}"),
        });
        differences(template.functions(), &calls.collect(), excused)
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_is_named() {
        let get = ("dynamodb:GetItem", "Orders");
        let put = ("dynamodb:PutItem", "Orders");
        assert_eq!(found(&[get, put], &[]), Vec::<String>::new());
        let unused = found(&[get], &[]);
        assert!(
            unused.len() == 1 && unused[0].contains("order may, and never did, dynamodb:PutItem"),
            "{unused:?}"
        );
        let missing = found(&[get, put, ("dynamodb:Scan", "Orders")], &[]);
        assert!(missing.len() == 1 && missing[0].contains("order did dynamodb:Scan on"), "{missing:?}");
        assert_eq!(found(&[get, put, ("dynamodb:GetItem", "Others")], &[]).len(), 1, "another table");
    }

    #[test]
    fn an_excuse_holds_only_for_what_is_not_used() {
        let get = ("dynamodb:GetItem", "Orders");
        let put = ("dynamodb:PutItem", "Orders");
        let excuse = [("order", "dynamodb:PutItem", "table/Orders", "because")];
        assert_eq!(found(&[get], &excuse), Vec::<String>::new());
        let stale = found(&[get, put], &excuse);
        assert!(stale.len() == 1 && stale[0].contains("is excused from using"), "{stale:?}");
    }
}
