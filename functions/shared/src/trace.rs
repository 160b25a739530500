//! Which log lines belong together, across functions and for as long as what a request began goes on.
//!
//! A trace is taken over from the caller by W3C Trace Context, level 1 (`traceparent`), else from X-Ray, which Lambda has for
//! every invocation; both have ids of 128 bits. Items carry it, as the attribute `trace`, to those who read them from a
//! stream ([`crate::stream`]). The lines themselves are the record: an OpenTelemetry SDK, its exporter and its background
//! task would cost every cold start more than these fields do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tracing::{Instrument as _, field};

use crate::id::Generator;

/// The attribute of an item that says by which trace it was written.
pub const ATTRIBUTE: &str = "trace";

/// A place in a trace: what an invocation, or one step of it, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trace {
    id: u128,
    span: u64,
    sampled: bool,
}

/// A text that is no trace; whoever sent it, it is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no valid traceparent")]
pub struct Invalid;

/// What runs: which invocation, and as part of which trace.
#[derive(Clone)]
struct Running {
    request_id: Arc<str>,
    trace: Trace,
}

tokio::task_local! {
    static RUNNING: Running;
}

impl Trace {
    /// A new trace.
    pub fn random() -> Self {
        // A UUIDv4 has fixed bits; an id of a trace is all random.
        Self { id: u128::from_be_bytes(Generator::system().bytes()).max(1), span: span(), sampled: true }
    }

    /// What a request with these headers, in an invocation with this X-Ray header, goes on with.
    pub fn of_request(headers: &HeaderMap, xray: Option<&str>) -> Self {
        let mut parents = headers.get_all("traceparent").iter();
        // More than one is none (Trace Context §3.2.2 has one).
        let parent = match (parents.next(), parents.next()) {
            (Some(parent), None) => parent.to_str().ok().and_then(|parent| parent.parse::<Self>().ok()),
            _ => None,
        };
        let amazon = || headers.get("x-amzn-trace-id")?.to_str().ok();
        parent.map_or_else(|| Self::of_invocation(xray.or_else(amazon)), Self::child)
    }

    /// What an invocation with this X-Ray header goes on with.
    pub fn of_invocation(xray: Option<&str>) -> Self {
        xray.and_then(Self::from_xray).map_or_else(Self::random, Self::child)
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: span(), ..self }
    }

    /// The trace that whatever runs now belongs to; none outside of an invocation.
    pub fn current() -> Option<Self> {
        RUNNING.try_with(|running| running.trace).ok()
    }

    /// Runs `work`, an invocation's, as part of this trace.
    pub(crate) async fn run<F: Future>(self, request_id: &str, work: F) -> F::Output {
        RUNNING.scope(Running { request_id: request_id.into(), trace: self }, work).await
    }

    /// The id of the trace, as log lines have it.
    pub fn trace_id(self) -> impl fmt::Display {
        Hex::<32>(self.id)
    }

    /// The id of this step of it.
    pub fn span_id(self) -> impl fmt::Display {
        Hex::<16>(self.span.into())
    }

    /// `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0 or 1>`, of which only the first must be there.
    /// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
    fn from_xray(header: &str) -> Option<Self> {
        let field = |name| {
            header.split(';').find_map(|field| field.trim().split_once('=').filter(|(key, _)| *key == name))
        };
        let (seconds, random) = field("Root")?.1.strip_prefix("1-")?.split_once('-')?;
        let id = hex(seconds, 8)? << 96 | hex(random, 24)?;
        let span = field("Parent").and_then(|(_, parent)| hex(parent, 16)).unwrap_or_default();
        let span = u64::try_from(span).ok()?;
        let sampled = field("Sampled").is_some_and(|(_, sampled)| sampled == "1");
        (id != 0).then_some(Self { id, span, sampled })
    }
}

/// Runs `work` as a step of its own, in a span of its own: of the trace that an item carries, or where it carries none, of
/// the one that runs. The latter is asked for at once, so that the future may be spawned.
pub fn follow<F: Future>(carried: Option<Trace>, work: F) -> impl Future<Output = F::Output> {
    let running = RUNNING.try_with(Clone::clone);
    let running = running.unwrap_or_else(|_| Running { request_id: "none".into(), trace: Trace::random() });
    let trace = carried.unwrap_or(running.trace).child();
    // It says all that the invocation's does, so it has no parent, whose fields text would have once more.
    let span = tracing::info_span!(
        parent: None,
        "step",
        request_id = &*running.request_id,
        trace_id = %trace.trace_id(),
        span_id = %trace.span_id(),
        order_trace_id = field::Empty,
    );
    RUNNING.scope(Running { trace, ..running }, work).instrument(span)
}

/// What runs works on an order that this trace began with: the lines of its span say so from now on.
pub fn is_about_order(placed_by: Option<Trace>) {
    if let Some(trace) = placed_by {
        tracing::Span::current().record("order_trace_id", field::display(trace.trace_id()));
    }
}

/// Of 64 random bits, never zero: that would be invalid.
fn span() -> u64 {
    u64::from_be_bytes(Generator::system().bytes()).max(1)
}

/// Exactly so many digits, lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(is_hex) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

impl FromStr for Trace {
    type Err = Invalid;

    /// A `traceparent` (Trace Context §3.2). Of a version that is not known yet, what version 00 has of it (§4.3).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.splitn(5, '-');
        let mut part = |digits| parts.next().and_then(|part| hex(part, digits)).ok_or(Invalid);
        let (version, id, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let more = parts.next().is_some();
        let span = u64::try_from(span).map_err(|_| Invalid)?;
        if version == 0xff || (version == 0 && more) || id == 0 || span == 0 {
            return Err(Invalid);
        }
        Ok(Self { id, span, sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for Trace {
    /// As `traceparent`, version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id(), self.span_id(), u8::from(self.sampled))
    }
}

impl TryFrom<String> for Trace {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Trace> for String {
    fn from(trace: Trace) -> Self {
        trace.to_string()
    }
}

/// So many hexadecimal digits.
struct Hex<const DIGITS: usize>(u128);

impl<const DIGITS: usize> fmt::Display for Hex<DIGITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const XRAY: &str = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_traceparent_is_read_and_written() {
        let trace: Trace = PARENT.parse().unwrap();
        assert_eq!(trace.to_string(), PARENT);
        assert_eq!(trace.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id().to_string(), "00f067aa0ba902b7");
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(unsampled.parse::<Trace>().unwrap().to_string(), unsampled);
        // Flags that are not known yet are not passed on (§3.2.2.5.2).
        assert_eq!(PARENT.replace("-01", "-ff").parse(), Ok(trace));
    }

    #[test]
    fn of_a_later_version_what_is_known_of_it_is_read() {
        let known = PARENT.parse::<Trace>().unwrap();
        for later in
            [PARENT.replacen("00", "cc", 1), format!("cc{}-what-the-future-will-be-like", &PARENT[2..])]
        {
            assert_eq!(later.parse(), Ok(known), "{later}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let zero_trace = format!("00-{:032}-00f067aa0ba902b7-01", 0);
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016}-01", 0);
        let upper = PARENT.to_uppercase();
        let later = format!("cc{}.what-the-future-will-be-like", &PARENT[2..]);
        let more = format!("{PARENT}-");
        let listed = format!("{PARENT},{PARENT}");
        for bad in [
            "",
            "00",
            "-",
            "---",
            &PARENT[..54],
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replacen("00", "+0", 1),
            &PARENT.replacen("4b", "+b", 1),
            &PARENT.replacen('-', "_", 1),
            &PARENT.replacen("4b", "ä", 1),
            &format!(" {PARENT}"),
            &zero_trace,
            &zero_span,
            &upper,
            &later,
            &more,
            &listed,
        ] {
            assert_eq!(bad.parse::<Trace>(), Err(Invalid), "{bad}");
        }
    }

    #[test]
    fn x_ray_counts_the_same_128_bits() {
        let trace = Trace::from_xray(XRAY).unwrap();
        assert_eq!(trace.to_string(), "00-67891233abcdef012345678912345678-53995c3f42cd8ad8-01");
        let root = Trace::from_xray("Root=1-67891233-abcdef012345678912345678; Lineage=1:a:0").unwrap();
        assert_eq!(root.trace_id().to_string(), "67891233abcdef012345678912345678");
        assert!(!root.sampled);
        for bad in
            ["", "Root", "Root=", "Root=2-67891233-abcdef012345678912345678", "Root=1-6789-abc", "Self=1-a-b"]
        {
            assert_eq!(Trace::from_xray(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_callers_trace_comes_before_x_rays_and_before_a_new_one() {
        let id = |headers: &[(&'static str, &str)], xray| {
            Trace::of_request(&self::headers(headers), xray).trace_id().to_string()
        };
        let (callers, amazons) = ("4bf92f3577b34da6a3ce929d0e0e4736", "67891233abcdef012345678912345678");
        assert_eq!(id(&[("traceparent", PARENT)], Some(XRAY)), callers);
        assert_eq!(id(&[("traceparent", "00-nonsense")], Some(XRAY)), amazons);
        assert_eq!(id(&[("traceparent", PARENT), ("traceparent", PARENT)], Some(XRAY)), amazons);
        assert_eq!(id(&[("x-amzn-trace-id", XRAY)], None), amazons);
        assert_ne!(id(&[], None), id(&[], None));
    }

    #[test]
    fn each_step_of_a_trace_has_an_id_of_its_own() {
        let parent = PARENT.parse::<Trace>().unwrap();
        let child = parent.child();
        assert_eq!(child.trace_id().to_string(), parent.trace_id().to_string());
        assert_ne!(child.span_id().to_string(), parent.span_id().to_string());
        assert_eq!(child.to_string().parse(), Ok(child));
    }
}
