//! Who looked for what, and why. A search is written down and committed before it is made: where
//! that fails there is no answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, FixedOffset};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::Role;
use super::fault::{Code, Fault, Told};
use super::gate::In;
use super::query::{Cut, Keyed, Page, Parameter, exactly, name, objects, span};
use crate::store::StoreError;

const REASON_LEAST: usize = 4;
const REASON_MOST: usize = 500;
const DAYS_MOST: u32 = 366;

/// Something that is searched for.
pub(super) struct Search {
    pub role: Role,
    pub what: &'static str,
    pub reason: Option<String>,
    pub filter: Value,
}

/// A search has a reason that somebody else can check.
pub(super) fn reason(given: &Option<String>) -> Result<String, Fault> {
    let text = given.as_deref().map(str::trim).unwrap_or_default();
    let length = text.chars().count();
    if !(REASON_LEAST..=REASON_MOST).contains(&length) || text.chars().any(char::is_control) {
        let mend = format!(
            "say why, in {REASON_LEAST} to {REASON_MOST} characters, such as the number of a case; \
             it is recorded"
        );
        return Err(Fault::field("reason", mend));
    }
    Ok(text.to_owned())
}

impl App {
    /// Writes it down; then asks; then writes how many rows were given.
    pub(super) async fn search<T: DeserializeOwned>(
        &self,
        asks: &In,
        search: Search,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, Fault> {
        let id = self.record(asks, &search).await?;
        let rows = self.ask(&asks.scope(), sql, parameters).await?;
        self.counted(id, rows.len()).await?;
        Ok(rows)
    }

    pub(super) async fn record(&self, asks: &In, search: &Search) -> Result<i64, Fault> {
        let sql = "INSERT INTO search_audit (at, who, role, address, reason, what, filter)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
        let (role, address) = (search.role.as_str(), asks.address.to_string());
        let at = self.clock.wall();
        let written = async {
            let client = self.store.client().await?;
            let parameters: [Parameter<'_>; 7] = [
                &at,
                &asks.user.name,
                &role,
                &address,
                &search.reason,
                &search.what,
                &search.filter,
            ];
            let row = client.query_one(sql, &parameters).await?;
            Ok::<i64, StoreError>(row.try_get(0)?)
        };
        written.await.map_err(|e| unwritable(&e))
    }

    pub(super) async fn counted(&self, id: i64, rows: usize) -> Result<(), Fault> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let written = async {
            let client = self.store.client().await?;
            let sql = "UPDATE search_audit SET rows = $2 WHERE id = $1";
            client.execute(sql, &[&id, &rows]).await?;
            Ok::<(), StoreError>(())
        };
        written.await.map_err(|e| unwritable(&e))
    }
}

fn unwritable(error: &StoreError) -> Fault {
    tracing::error!("search_audit: {error}");
    Fault::new(
        Code::AuditUnwritable,
        "it could not be recorded that you search, so there is no answer; the log says more",
    )
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339; at most 366 days after `from`.
    #[param(required = true)]
    to: Option<String>,
    /// Of one user.
    who: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Searched {
    id: i64,
    at: DateTime<FixedOffset>,
    who: String,
    role: String,
    address: String,
    reason: Option<String>,
    what: String,
    #[schema(value_type = Object)]
    filter: Value,
    /// `null`: no answer was given.
    rows: Option<i64>,
}

impl Keyed for Searched {
    fn key(&self) -> Vec<String> {
        vec![exactly(&self.at), self.id.to_string()]
    }
}

/// Who searched, the newest first. For `admin`.
#[utoipa::path(get, path = "/api/v1/audit", params(AuditFilter), responses(
    (status = 200, body = Page<Searched>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn audit(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<AuditFilter>, QueryRejection>,
) -> Result<Json<Page<Searched>>, Fault> {
    asks.must_be_admin()?;
    let Query(filter) = filter?;
    let span = span(&filter.from, &filter.to, DAYS_MOST)?;
    let who = name("who", &filter.who)?;
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 2)?;
    let sql = objects(
        "SELECT * FROM search_audit WHERE at >= $1 AND at < $2 AND ($3::text IS NULL OR who = $3)
         AND ($4::timestamptz IS NULL OR (at, id) < ($4, $5::bigint))
         ORDER BY at DESC, id DESC LIMIT $6",
    );
    let parameters: [Parameter<'_>; 6] = [
        &span.from,
        &span.to,
        &who,
        &cut.time(0)?,
        &cut.parsed::<i64>(1)?,
        &cut.fetch(),
    ];
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}
