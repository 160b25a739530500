//! Schedules: invokes a function at a fixed rate or at given times, never twice at once.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};
use template::{ACCOUNT, Function, REGION, Schedule, ScheduleKind};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::{debug, warn};

use super::cron::Cron;
use crate::ambient;
use crate::invoke::Functions;

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(30);

/// A schedule and the function that it invokes.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// The function's name.
    pub function: String,
    /// How long the function may take.
    pub timeout: Duration,
    when: When,
    schedule: Schedule,
    rule: String,
}

#[derive(Debug, Clone, PartialEq)]
enum When {
    /// Between the starts of two invocations.
    Every(Duration),
    At(Cron),
}

impl Timer {
    /// An error names the expression, when it is not understood.
    pub(super) fn new(function: &Function, schedule: &Schedule) -> Result<Self> {
        let when = When::parse(&schedule.expression)
            .with_context(|| format!("schedule {} of {}", schedule.id, function.name))?;
        Ok(Self {
            function: function.name.clone(),
            timeout: function.timeout,
            when,
            schedule: schedule.clone(),
            // As SAM names it.
            rule: format!("{}{}", function.logical_id, schedule.id),
        })
    }

    /// Invokes the function until dropped; at a rate, the first time after one period. A slow function delays the next
    /// invocation, or misses it.
    pub(super) async fn run(self, functions: Functions) {
        match &self.when {
            When::Every(period) => {
                let mut ticks = interval_at(Instant::now() + *period, *period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    self.fire(&functions).await;
                }
            }
            When::At(cron) => {
                while let Some(next) = cron.next(ambient::now()) {
                    // The clock may be set meanwhile, and a sleeping laptop does not count its sleep.
                    while let Ok(rest) = Duration::try_from(next.duration_since(ambient::now()))
                        && !rest.is_zero()
                    {
                        sleep(rest.min(LOOK)).await;
                    }
                    self.fire(&functions).await;
                }
            }
        }
    }

    async fn fire(&self, functions: &Functions) {
        let event = self.event(ambient::now(), &ambient::request_id());
        match functions.invoke(&self.function, &event, self.timeout).await {
            Ok(_) => debug!(function = self.function, schedule = self.schedule.id, "done"),
            Err(failure) => {
                warn!(function = self.function, schedule = self.schedule.id, error = %failure, "failed");
            }
        }
    }

    /// What the service sends: a rule and EventBridge Scheduler differ.
    fn event(&self, now: Timestamp, id: &str) -> Value {
        if let Some(input) = &self.schedule.input {
            return input.clone();
        }
        let rule = &self.rule;
        let (source, resource, detail) = match self.schedule.kind {
            ScheduleKind::Rule => {
                ("aws.events", format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"), json!({}))
            }
            ScheduleKind::Scheduler => (
                "aws.scheduler",
                format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{rule}"),
                json!("{}"),
            ),
        };
        json!({
            "version": "0",
            "id": id,
            "detail-type": "Scheduled Event",
            "source": source,
            "account": ACCOUNT,
            "time": format!("{now:.0}"),
            "region": REGION,
            "resources": [resource],
            "detail": detail,
        })
    }
}

impl When {
    fn parse(expression: &str) -> Result<Self> {
        match expression.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) {
            Some(fields) => Cron::parse(fields).map(Self::At),
            None => rate(expression).map(Self::Every),
        }
    }
}

/// `rate(5 minutes)`; the unit agrees in number, as AWS demands.
fn rate(expression: &str) -> Result<Duration> {
    let Some(rate) = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')) else {
        bail!("infra/local runs schedules of the forms rate(...) and cron(...) only, not {expression}");
    };
    let parts: Vec<_> = rate.split_whitespace().collect();
    let seconds = match parts.as_slice() {
        [count, unit] => count.parse::<u32>().ok().zip(match *unit {
            "minute" | "minutes" => Some(60),
            "hour" | "hours" => Some(60 * 60),
            "day" | "days" => Some(24 * 60 * 60),
            _ => None,
        }),
        _ => None,
    };
    match seconds.filter(|(count, _)| *count > 0 && (*count == 1) != rate.ends_with('s')) {
        Some((count, unit)) => Ok(Duration::from_secs(u64::from(count) * unit)),
        None => bail!("{expression} is not a rate"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(kind: ScheduleKind, input: Option<Value>) -> Timer {
        let schedule = Schedule {
            id: "EveryMinute".to_owned(),
            kind,
            expression: "rate(1 minute)".to_owned(),
            enabled: true,
            input,
        };
        Timer {
            function: "payment-reconciler".to_owned(),
            timeout: Duration::from_secs(50),
            when: When::Every(Duration::from_mins(1)),
            schedule,
            rule: "PaymentReconcilerFunctionEveryMinute".to_owned(),
        }
    }

    #[test]
    fn rates() {
        for (expression, minutes) in
            [("rate(1 minute)", 1), ("rate(5 minutes)", 5), ("rate(1 hour)", 60), ("rate(2 days)", 2880)]
        {
            assert_eq!(rate(expression).expect("a rate"), Duration::from_mins(minutes), "{expression}");
        }
        for expression in
            ["rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(5)", "rate(x days)", ""]
        {
            assert!(rate(expression).is_err(), "{expression}");
        }
        let error = When::parse("at(2026-01-01T00:00:00)").expect_err("neither").to_string();
        assert!(error.contains("at(2026-01-01T00:00:00)"), "{error}");
        assert!(matches!(When::parse("cron(0 2 * * ? *)"), Ok(When::At(_))));
    }

    #[test]
    fn the_event_is_that_of_eventbridge() {
        let now = "2026-11-22T18:16:04.5Z".parse().expect("a time");
        let mut expected = json!({
            "version": "0",
            "id": "1",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": "2026-11-22T18:16:04Z",
            "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:000000000000:rule/PaymentReconcilerFunctionEveryMinute"],
            "detail": {},
        });
        assert_eq!(timer(ScheduleKind::Rule, None).event(now, "1"), expected);
        expected["source"] = json!("aws.scheduler");
        expected["resources"] = json!([
            "arn:aws:scheduler:us-east-1:000000000000:schedule/default/PaymentReconcilerFunctionEveryMinute"
        ]);
        expected["detail"] = json!("{}");
        assert_eq!(timer(ScheduleKind::Scheduler, None).event(now, "1"), expected);
        let input = json!({ "mine": true });
        assert_eq!(timer(ScheduleKind::Rule, Some(input.clone())).event(now, "1"), input);
    }
}
