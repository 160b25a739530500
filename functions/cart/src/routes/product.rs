//! `GET`, `PUT`, `PATCH` and `DELETE /products/{id}`.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use shared::db::{DbError, retry_conflicts};
use shared::http::{ETag, IfMatch, IfNoneMatch, Json, Path, precondition_failed};
use shared::json::object;
use shared::money::Currency;
use shared::problem::Problem;
use shared::text::Text;

use crate::State as App;
use crate::model::{Amount, Category, ImageUrl, Price, Product, ProductId, ProductPatch, Stock};

/// A product with its version.
type Answer = (ETag, Json<Product>);

/// A product as an admin writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    name: Text<200>,
    description: Option<Text<2000>>,
    #[serde(deserialize_with = "object")]
    price: Price,
    category: Option<Category>,
    image_url: Option<ImageUrl>,
    stock: Stock,
}

/// A JSON Merge Patch (RFC 7396): a member that is absent stays as it is, `null` removes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things in a merge patch")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Patch {
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Text<200>"))]
    name: Option<Text<200>>,
    #[serde(default, deserialize_with = "present")]
    description: Option<Option<Text<2000>>>,
    #[serde(default, deserialize_with = "object")]
    price: PricePatch,
    #[serde(default, deserialize_with = "present")]
    category: Option<Option<Category>>,
    #[serde(default, deserialize_with = "present")]
    image_url: Option<Option<ImageUrl>>,
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Stock"))]
    stock: Option<Stock>,
}

/// A merge patch goes into objects: the amount alone can change.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct PricePatch {
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Amount"))]
    amount: Option<Amount>,
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Currency"))]
    currency: Option<Currency>,
}

/// Tells `null` from absent: a member that is there is `Some`, whatever its value.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl From<Patch> for ProductPatch {
    fn from(patch: Patch) -> Self {
        Self {
            name: patch.name,
            description: patch.description,
            amount: patch.price.amount,
            currency: patch.price.currency,
            category: patch.category,
            image_url: patch.image_url,
            stock: patch.stock,
        }
    }
}

pub(crate) fn no_product() -> Problem {
    Problem::not_found("There is no such product")
}

/// One product, with its stock.
pub(crate) async fn get(State(app): State<App>, Path(id): Path<ProductId>) -> Result<Answer, Problem> {
    Ok(answer(sold(&app, &id).await?.ok_or_else(no_product)?))
}

/// The product, unless it is retired.
async fn sold(app: &App, id: &ProductId) -> Result<Option<Product>, DbError> {
    Ok(app.carts.product(id).await?.filter(|product| product.retired_at.is_none()))
}

fn answer(product: Product) -> Answer {
    (ETag(product.version), Json(product))
}

/// Adds a product, or replaces it and its stock. One that was retired is in the catalogue again.
pub(crate) async fn put(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    Json(body): Json<Body>,
) -> Result<(StatusCode, ETag, Json<Product>), Problem> {
    let attempt = || async {
        let before = app.carts.product(&id).await?;
        let sold = before.as_ref().filter(|product| product.retired_at.is_none());
        let current = sold.map(|product| product.version);
        if !if_match.allows_current(current) || !if_none_match.allows_current(current) {
            return Ok(Err(precondition_failed(current)));
        }
        let status = if sold.is_some() { StatusCode::OK } else { StatusCode::CREATED };
        let previous = before.as_ref().map(|product| product.version);
        let product = app.carts.replace_product(body.clone().product(id.clone()), previous).await?;
        Ok(Ok((status, ETag(product.version), Json(product))))
    };
    retry_conflicts(attempt).await?
}

impl Body {
    fn product(self, id: ProductId) -> Product {
        Product {
            id,
            name: self.name,
            description: self.description,
            price: self.price.get(),
            category: self.category,
            image_url: self.image_url,
            stock: self.stock.get(),
            version: 0,
            retired_at: None,
        }
    }
}

/// Changes just those members of a product that the request names: who changes its price leaves its stock to the checkouts.
pub(crate) async fn patch(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
    Json(patch): Json<Patch>,
) -> Result<Answer, Problem> {
    let patch = patch.into();
    let attempt = || async {
        let Some(product) = sold(&app, &id).await? else { return Ok(Err(no_product())) };
        if !if_match.allows(product.version) {
            return Ok(Err(precondition_failed(Some(product.version))));
        }
        if patch == ProductPatch::default() {
            return Ok(Ok(Some(product)));
        }
        let only_at = if_match.names_versions().then_some(product.version);
        app.carts.patch_product(&id, &patch, only_at).await?;
        Ok(Ok(sold(&app, &id).await?))
    };
    let patched = retry_conflicts(attempt).await??;
    // Somebody may have retired it the moment after.
    patched.map(answer).ok_or_else(no_product)
}

/// Takes a product out of the catalogue; twice is as good as once.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let attempt = || async {
        let Some(product) = app.carts.product(&id).await? else { return Ok(Err(no_product())) };
        if product.retired_at.is_some() {
            return Ok(Ok(StatusCode::NO_CONTENT));
        }
        if !if_match.allows(product.version) {
            return Ok(Err(precondition_failed(Some(product.version))));
        }
        let only_at = if_match.names_versions().then_some(product.version);
        app.carts.retire_product(&id, only_at, app.clock.now()).await?;
        Ok(Ok(StatusCode::NO_CONTENT))
    };
    retry_conflicts(attempt).await?
}

#[cfg(test)]
mod tests;
