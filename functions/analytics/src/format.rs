//! In which form an answer is wanted: JSON, or CSV where the `Accept` header prefers that (RFC 9110 §12.5.1).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use shared::http::Json;
use shared::problem::Problem;

use crate::table::Table;

/// What an answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json`, also where neither is acceptable: a figure in another form is better than none.
    Json,
    /// `text/csv`.
    Csv,
}

/// What can be written as a table.
pub(crate) trait Tabular {
    /// The same figures as in the JSON.
    fn table(&self) -> Table;
}

impl Format {
    /// The answer, which a browser saves as `{name}.csv` where it is CSV.
    pub(crate) fn answer<T: Serialize + Tabular>(self, name: &str, value: T) -> Result<Response, Problem> {
        let vary = (VARY, HeaderValue::from_static("accept"));
        if self == Self::Json {
            return Ok(([vary], Json(value)).into_response());
        }
        let csv = value.table().to_csv().map_err(|error| Problem::internal(&error))?;
        let saved_as = HeaderValue::try_from(format!("attachment; filename=\"{name}.csv\""))
            .map_err(|error| Problem::internal(&error))?;
        let media_type = HeaderValue::from_static("text/csv; charset=utf-8");
        Ok(([vary, (CONTENT_TYPE, media_type), (CONTENT_DISPOSITION, saved_as)], csv).into_response())
    }

    fn preferred(headers: &HeaderMap) -> Self {
        let ranges: Vec<Range> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(Range::parse)
            .collect();
        let csv = Preference::of(&ranges, "text", "csv");
        // The same weight, and the client named one of the two more precisely: that is the one it is made for.
        if csv.weight > 0 && csv > Preference::of(&ranges, "application", "json") {
            Self::Csv
        } else {
            Self::Json
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::preferred(&parts.headers))
    }
}

/// A media range, such as `text/*;q=0.5`.
struct Range {
    kind: String,
    subkind: String,
    /// In thousandths.
    weight: u16,
}

impl Range {
    /// None where it is malformed; it then counts for nothing.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.eq_ignore_ascii_case("q").then(|| thousandths(value))
        });
        let weight = weight.unwrap_or(Some(1000))?;
        Some(Self { kind: kind.to_ascii_lowercase(), subkind: subkind.to_ascii_lowercase(), weight })
    }

    /// How precisely it names the media type; none where it does not.
    fn precision(&self, kind: &str, subkind: &str) -> Option<u8> {
        match (self.kind.as_str(), self.subkind.as_str()) {
            ("*", "*") => Some(0),
            (ours, "*") if ours == kind => Some(1),
            (ours, theirs) if ours == kind && theirs == subkind => Some(2),
            _ => None,
        }
    }
}

/// `0`, `1` or up to three decimals between (RFC 9110 §12.4.2).
fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if whole.len() != 1 || decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok().filter(|weight| *weight <= 1000)
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    weight: u16,
    precision: u8,
}

impl Preference {
    /// The weight that the most precise of the ranges gives the media type.
    fn of(ranges: &[Range], kind: &str, subkind: &str) -> Self {
        let matching =
            ranges.iter().filter_map(|range| Some((range.precision(kind, subkind)?, range.weight)));
        let (precision, weight) = matching.max().unwrap_or_default();
        Self { weight, precision }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(accept: &[&'static str]) -> Format {
        let values = accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
        Format::preferred(&values.collect())
    }

    #[test]
    fn csv_is_for_those_who_prefer_it() {
        for accept in [
            "text/csv",
            "TEXT/CSV",
            "text/csv;charset=utf-8",
            "text/*",
            "text/csv, */*",
            "text/csv;q=0.5, */*;q=0.1",
            "application/json;q=0.5, text/csv",
            "application/json ; Q=0.999 , text/csv ; q=1.0",
            "application/json;q=0, */*",
            "text/csv, text/*;q=0",
            "text/csv;q=0.001",
        ] {
            assert_eq!(preferred(&[accept]), Format::Csv, "{accept}");
        }
        assert_eq!(preferred(&["application/json;q=0.1", "text/csv;q=0.2"]), Format::Csv, "two headers");
    }

    #[test]
    fn everybody_else_gets_json() {
        for accept in [
            "",
            "*/*",
            "application/json",
            "text/csv, application/json",
            "text/csv;q=0.9, application/json",
            "text/csv;q=0.9, */*",
            "text/csv;q=0",
            "text/csv;q=0, text/*",
            "text/*, application/json",
            // Neither is acceptable.
            "image/png",
            "text/html, application/xhtml+xml, */*;q=0.8",
            // Malformed.
            "text/csv;q=2",
            "text/csv;q=0.1234",
            "text/csv;q=x",
            "text/csv;q=-1",
            "csv",
            ";",
        ] {
            assert_eq!(preferred(&[accept]), Format::Json, "{accept}");
        }
        assert_eq!(preferred(&[]), Format::Json);
    }
}
