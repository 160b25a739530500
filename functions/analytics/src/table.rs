//! Figures as a table, and that as CSV (RFC 4180) for spreadsheets.

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Somebody's words.
    Text(String),
    /// A count or an amount.
    Number(u64),
    /// A share of one.
    Share(f64),
    /// Nothing.
    Empty,
}

/// A table whose rows are as long as its header.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// What the columns are called.
    pub(crate) header: &'static [&'static str],
    /// The rows.
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// A text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn written(&self) -> String {
        match self {
            Self::Text(text) => harmless(text),
            Self::Number(number) => number.to_string(),
            // With a decimal at least, as in JSON.
            Self::Share(share) => format!("{share:?}"),
            Self::Empty => String::new(),
        }
    }
}

impl Table {
    /// The table as CSV.
    pub(crate) fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(self.header)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::written))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

/// A text that no spreadsheet takes for a formula: an apostrophe before what one begins with.
/// <https://owasp.org/www-community/attacks/CSV_Injection>
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_would_run_is_disarmed_and_a_number_is_not() {
        for hostile in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0"] {
            assert_eq!(Cell::text(hostile).written(), format!("'{hostile}"));
        }
        for harmless in ["", "page_view", "a=1", "2026-01-01", "'=1"] {
            assert_eq!(Cell::text(harmless).written(), harmless);
        }
        assert_eq!((Cell::Number(7).written(), Cell::Share(0.25).written()), ("7".into(), "0.25".into()));
    }

    #[test]
    fn separators_quotes_and_line_ends_stay_within_their_cell() {
        let row = ["a,b", "say \"hi\"", "two\r\nlines", "=HYPERLINK(\"x\",\"y\")"].map(Cell::text);
        let table = Table { header: &["a", "b", "c", "d"], rows: vec![row.to_vec()] };
        let csv = String::from_utf8(table.to_csv().unwrap()).unwrap();
        assert_eq!(
            csv,
            "a,b,c,d\r\n\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"\r\n"
        );
    }

    #[test]
    fn a_row_that_is_too_short_is_an_error() {
        let table = Table { header: &["a", "b"], rows: vec![vec![Cell::Empty]] };
        table.to_csv().unwrap_err();
    }
}
