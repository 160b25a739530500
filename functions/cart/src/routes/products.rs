//! `GET /products`.

use axum::extract::State;
use serde::Deserialize;
use shared::http::{Json, Query};
use shared::page::{Cursor, Limit, Page, PageQuery};
use shared::problem::Problem;

use crate::State as App;
use crate::model::{CatalogueEntry, Category};
use crate::store::Filter;

/// The query string: a page, and which products.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Parameters {
    category: Option<Category>,
    available: Option<bool>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
}

/// The catalogue, by category and product id.
pub(crate) async fn list(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Page<CatalogueEntry>>, Problem> {
    let Parameters { category, available, limit, cursor } = parameters;
    let page = PageQuery { limit, cursor };
    Ok(Json(app.carts.catalogue(&Filter { category, available }, &page).await?))
}

#[cfg(test)]
mod tests;
