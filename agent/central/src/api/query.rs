//! How the database is asked: within the rights of the user, in a time that is bounded, a page at a
//! time.
//!
//! [`App::ask`] is the one way to read of the agents. It sets `kakou.prefectures` for its
//! transaction, and without that setting the schema `seen` is empty.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::ToSql;
use utoipa::ToSchema;

use super::App;
use super::fault::{Code, Fault};
use super::gate::In;

/// Rows of a page where nobody says how many, and at most.
const PAGE: i64 = 100;
const PAGE_MOST: i64 = 500;
/// Longer than any cursor that was given out.
const CURSOR_MOST: usize = 1024;
const TEXT_MOST: usize = 64;
/// Days have an hour to spare, so that a day that is longer by daylight saving elsewhere fits.
const SLACK: TimeDelta = TimeDelta::hours(1);

pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// What a user may see: `*`, or division codes with commas.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope(pub String);

impl In {
    pub fn scope(&self) -> Scope {
        Scope(self.user.scope())
    }
}

impl App {
    /// Rows of a question, each as an object of its columns.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, Fault> {
        self.within(scope, true, sql, parameters).await
    }

    /// The same for what changes something.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, Fault> {
        self.within(scope, false, sql, parameters).await
    }

    async fn within<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        is_read_only: bool,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, Fault> {
        let mut client = self.store.client().await?;
        let transaction = client
            .build_transaction()
            .read_only(is_read_only)
            .start()
            .await?;
        let limit = format!("{}ms", self.options.patience.as_millis());
        // Compiling a plan over hundreds of partitions takes longer than running it.
        transaction
            .execute(
                "SELECT set_config('kakou.prefectures', $1, true), set_config('jit', 'off', true),
                 set_config('statement_timeout', $2, true),
                 set_config('TimeZone', 'Asia/Shanghai', true)",
                &[&scope.0, &limit],
            )
            .await?;
        let rows = transaction.query(sql, parameters).await?;
        let mut read = Vec::with_capacity(rows.len());
        for row in &rows {
            let value: serde_json::Value = row.try_get(0)?;
            read.push(serde_json::from_value(value).map_err(|e| {
                tracing::error!("a row of the database: {e}");
                Fault::new(
                    Code::Failed,
                    "a row of the database could not be read; the log says more",
                )
            })?);
        }
        transaction.commit().await?;
        Ok(read)
    }
}

/// Makes a question that [`App::ask`] takes of an ordinary one.
pub(super) fn objects(sql: &str) -> String {
    format!("SELECT to_jsonb(t) FROM ({sql}) t")
}

/// A page of rows, and where the next one begins.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// For `after` of the next page; missing: this is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a row is sorted by: distinct for each row.
pub(super) trait Keyed {
    fn key(&self) -> Vec<String>;
}

/// Which page is asked for.
pub(super) struct Cut {
    limit: i64,
    after: Option<Vec<String>>,
}

impl Cut {
    pub fn of(limit: Option<i64>, after: Option<&str>, parts: usize) -> Result<Self, Fault> {
        let limit = limit.unwrap_or(PAGE);
        if !(1..=PAGE_MOST).contains(&limit) {
            return Err(Fault::field("limit", format!("give 1 to {PAGE_MOST}")));
        }
        let wrong = || Fault::field("after", "give `next` of the page before, as it is");
        let after = match after {
            None => None,
            Some(text) if text.len() > CURSOR_MOST => return Err(wrong()),
            Some(text) => {
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
                let read: Vec<String> = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
                let is_right = read.len() == parts && !read.iter().any(|part| part.contains('\0'));
                Some(read)
                    .filter(|_| is_right)
                    .ok_or_else(wrong)
                    .map(Some)?
            }
        };
        Ok(Self { limit, after })
    }

    /// One more than is shown, to see whether there is more.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    pub fn text(&self, part: usize) -> Option<&str> {
        self.after.as_ref()?.get(part).map(String::as_str)
    }

    pub fn parsed<T: std::str::FromStr>(&self, part: usize) -> Result<Option<T>, Fault> {
        let wrong = |_| Fault::field("after", "give `next` of the page before, as it is");
        self.text(part).map(str::parse).transpose().map_err(wrong)
    }

    pub fn time(&self, part: usize) -> Result<Option<DateTime<Utc>>, Fault> {
        Ok(self
            .parsed::<DateTime<FixedOffset>>(part)?
            .map(|time| time.to_utc()))
    }

    pub fn page<T: Keyed>(&self, mut rows: Vec<T>) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| is_more).map(Keyed::key);
        let next = last
            .and_then(|key| serde_json::to_vec(&key).ok())
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Page { rows, next }
    }
}

/// A time as cursors carry it: to the microsecond, as the database has it.
pub(super) fn exactly(time: &DateTime<FixedOffset>) -> String {
    time.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// From when, and until before when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

const FORM: &str = "RFC 3339 with an offset, as 2031-05-04T08:15:30+08:00";

pub(super) fn span(
    from: &Option<String>,
    to: &Option<String>,
    days_most: u32,
) -> Result<Span, Fault> {
    let read = |field: &str, text: &Option<String>| {
        let text = text
            .as_deref()
            .ok_or_else(|| Fault::field(field, format!("missing; give {FORM}")))?;
        // A plus that nobody encoded.
        let plus = text.trim().replace(' ', "+");
        DateTime::parse_from_rfc3339(&plus)
            .map(|time| time.to_utc())
            .map_err(|_| Fault::field(field, format!("no time; give {FORM}")))
    };
    let span = Span {
        from: read("from", from)?,
        to: read("to", to)?,
    };
    if span.from >= span.to {
        return Err(Fault::field("to", "not after `from`; give a later time"));
    }
    if span.to - span.from > TimeDelta::days(days_most.into()) + SLACK {
        let mend = format!("more than {days_most} days after `from`; ask for less at once");
        return Err(Fault::field("to", mend));
    }
    Ok(span)
}

/// A name to look for; empty: any.
pub(super) fn name(field: &str, text: &Option<String>) -> Result<Option<String>, Fault> {
    let text = text.as_deref().map(str::trim).filter(|t| !t.is_empty());
    match text {
        Some(t) if t.chars().count() > TEXT_MOST || t.chars().any(char::is_control) => {
            let mend = format!("at most {TEXT_MOST} characters, none of them a control character");
            Err(Fault::field(field, mend))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// One of some words.
pub(super) fn word(
    field: &str,
    text: &Option<String>,
    words: &[&str],
) -> Result<Option<String>, Fault> {
    match name(field, text)? {
        Some(word) if !words.contains(&word.as_str()) => Err(Fault::field(
            field,
            format!("give one of {}", words.join(", ")),
        )),
        word => Ok(word),
    }
}

/// A number within bounds.
pub(super) fn number<T: PartialOrd + std::fmt::Display + Copy>(
    field: &str,
    given: Option<T>,
    bounds: std::ops::RangeInclusive<T>,
    otherwise: T,
) -> Result<T, Fault> {
    let given = given.unwrap_or(otherwise);
    match bounds.contains(&given) {
        true => Ok(given),
        false => {
            let mend = format!("give {} to {}", bounds.start(), bounds.end());
            Err(Fault::field(field, mend))
        }
    }
}

/// A plate as it is written: capitals, without dot or space. `?` stands for one character, `*` for
/// any number, where `is_pattern`.
pub(super) fn plate(given: &Option<String>, is_pattern: bool) -> Result<Option<String>, Fault> {
    let text = name("plate", given)?.map(|text| {
        text.to_uppercase()
            .replace(['·', '•', ' ', '-', '\u{3000}'], "")
    });
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let is_wild = |c: char| matches!(c, '?' | '*');
    if let Some(wrong) = text
        .chars()
        .find(|c| !(c.is_alphanumeric() || is_pattern && is_wild(*c)))
    {
        let wild = if is_pattern { ", `?` and `*`" } else { "" };
        let mend = format!("{wrong:?} is in no plate; give letters and digits{wild}");
        return Err(Fault::field("plate", mend));
    }
    if text.chars().all(is_wild) {
        let mend = "name at least one character; without it leave `plate` out";
        return Err(Fault::field("plate", mend));
    }
    Ok(Some(text))
}

/// A pattern in the words of SQL's LIKE. A plate has neither `%` nor `_` in it.
pub(super) fn like(pattern: &str) -> String {
    let mut text = String::new();
    for c in pattern.chars() {
        let _ = match c {
            '?' => write!(text, "_"),
            '*' => write!(text, "%"),
            c => write!(text, "{c}"),
        };
    }
    text
}

/// How long a question may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn plates_are_written_as_they_are_kept() {
        let read = |text: &str| plate(&Some(text.to_owned()), true).map(|p| p.unwrap());
        assert_eq!(read(" 冀z·7K0T9 ").unwrap(), "冀Z7K0T9");
        assert_eq!(like(&read("冀Z?*9").unwrap()), "冀Z_%9");
        for wrong in ["%", "冀_", "***", "'; DROP TABLE passages", "a\u{0}b", "\\"] {
            assert_eq!(read(wrong).unwrap_err().field.unwrap(), "plate", "{wrong}");
        }
        let exact = plate(&Some("冀Z?".to_owned()), false);
        assert_eq!(exact.unwrap_err().field.unwrap(), "plate");
    }

    #[test]
    fn spans_are_given_in_order_and_bounded() {
        let some = |text: &str| Some(text.to_owned());
        let (a, b) = (
            some("2031-05-04T00:00:00 08:00"),
            some("2031-06-04T00:00:00+08:00"),
        );
        assert!(span(&a, &b, 31).is_ok());
        let field = |from: &Option<String>, to: &Option<String>| {
            span(from, to, 30).unwrap_err().field.unwrap()
        };
        assert_eq!(field(&a, &b), "to");
        assert_eq!(field(&b, &a), "to");
        assert_eq!(field(&None, &a), "from");
        assert_eq!(field(&a, &some("yesterday")), "to");
    }
}
