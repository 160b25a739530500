//! Logs: JSON on AWS, readable text locally, the request's id in each line.
//!
//! What is logged is a message and structured fields. Never a token, password, e-mail address, phone number or card.

use std::fmt;
use std::panic;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Compact, Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Env;

/// Sets up logging for this process. `LOG_FORMAT` is `json` or `text`; unset, it is `json` on AWS, `text` where
/// `AWS_ENDPOINT_URL` says that this is a local run.
pub fn init(env: &Env) {
    let json = match env.optional("LOG_FORMAT") {
        Some(format) => format == "json",
        None => env.optional("AWS_ENDPOINT_URL").is_none(),
    };
    // The runtime's own span around each invocation would repeat the request's id under another name.
    let levels =
        Targets::new().with_default(LevelFilter::INFO).with_target("lambda_runtime", LevelFilter::WARN);
    let registry = tracing_subscriber::registry().with(levels);
    // A second call (two functions in one test process) keeps the first one's subscriber.
    let _already_set = if json {
        registry.with(json_lines()).try_init().is_err()
    } else {
        let function = env.optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("function").to_owned();
        let format = Named {
            function,
            inner: tracing_subscriber::fmt::format().compact().with_target(false).without_time(),
        };
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).event_format(format);
        registry.with(layer).try_init().is_err()
    };
    panic::set_hook(Box::new(|info| {
        // Not the message: that of a bad string slice, for one, holds the whole string.
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// One object per line: the event's fields, and under `span` those of the innermost span.
pub(crate) fn json_lines<S>() -> Layer<S, JsonFields, Format<Json>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true);
    layer.with_span_list(false).with_target(false)
}

/// A readable line that begins with the function's name: several functions share one terminal locally.
struct Named {
    function: String,
    inner: Format<Compact, ()>,
}

impl<S, N> FormatEvent<S, N> for Named
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "[{}] ", self.function)?;
        self.inner.format_event(context, writer, event)
    }
}
