//! `GET /analytics/top-products`.

use std::cmp::Reverse;

use axum::extract::State;
use axum::response::Response;
use cart::model::ProductId;
use serde::{Deserialize, Serialize};
use shared::http::Query;
use shared::money::{Currency, Money};
use shared::problem::Problem;

use crate::State as App;
use crate::figures::{ProductFigures, Products};
use crate::format::Format;
use crate::period::{self, Day, Granularity, Period};
use crate::report::{Report, Shown};
use crate::routes::summary::money;
use crate::table::Cell;

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

/// What is asked of every period, and what is the best here. (One flat list: a query string has only texts, and serde reads a
/// number within a flattened part from nothing else than a number.)
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Asked {
    from: Option<Day>,
    to: Option<Day>,
    granularity: Option<Granularity>,
    time_zone: Option<String>,
    #[serde(default)]
    by: By,
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = 100)))]
    limit: Option<usize>,
    /// Amounts of different currencies do not compare.
    currency: Option<Currency>,
}

/// What the products are ranked by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
enum By {
    Revenue,
    #[default]
    Units,
    Views,
    Carts,
}

#[derive(Debug, Clone, Copy)]
enum Ranking {
    Revenue(Currency),
    Units,
    Views,
    Carts,
}

impl Ranking {
    fn new(by: By, currency: Option<Currency>) -> Result<Self, &'static str> {
        match (by, currency) {
            (By::Revenue, Some(currency)) => Ok(Self::Revenue(currency)),
            (By::Revenue, None) => {
                Err("by=revenue needs a currency: amounts of different currencies do not compare")
            }
            (_, Some(_)) => Err("currency goes with by=revenue alone"),
            (By::Units, None) => Ok(Self::Units),
            (By::Views, None) => Ok(Self::Views),
            (By::Carts, None) => Ok(Self::Carts),
        }
    }

    fn of(self, figures: &ProductFigures) -> u64 {
        match self {
            Self::Revenue(currency) => figures.revenue.get(&currency).copied().unwrap_or_default(),
            Self::Units => figures.units,
            Self::Views => figures.views,
            Self::Carts => figures.carts,
        }
    }

    /// The first `limit`; those that are equal in the order of their ids.
    fn best(self, Products(products): Products, limit: usize) -> Best {
        let mut products: Vec<_> = products.into_iter().collect();
        products.sort_by_key(|(_, figures)| Reverse(self.of(figures)));
        products.truncate(limit);
        Best { products: products.into_iter().map(Best::product).collect() }
    }
}

/// The best products, the best one first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "BestProducts"))]
pub(crate) struct Best {
    products: Vec<Ranked>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RankedProduct"))]
struct Ranked {
    product_id: ProductId,
    views: u64,
    carts: u64,
    units: u64,
    revenue: Vec<Money>,
}

impl Best {
    fn product((product_id, figures): (ProductId, ProductFigures)) -> Ranked {
        let ProductFigures { views, carts, units, revenue } = figures;
        Ranked { product_id, views, carts, units, revenue: money(&revenue) }
    }
}

impl Shown for Best {
    const HEADER: &'static [&'static str] =
        &["start", "rank", "product_id", "views", "carts", "units", "amount_minor", "currency"];

    /// One row per product and currency. The counts are in its first row only, so that a column adds up to what it says.
    fn rows(&self) -> Vec<Vec<Cell>> {
        let mut rows = Vec::new();
        for (rank, product) in (1..).zip(&self.products) {
            let mut counts = [product.views, product.carts, product.units].map(Cell::Number);
            let amounts =
                product.revenue.iter().map(|money| [Cell::Number(money.amount), Cell::text(money.currency)]);
            let none = product.revenue.is_empty().then_some([Cell::Empty, Cell::Empty]);
            for amount in amounts.chain(none) {
                let id = [Cell::Number(rank), Cell::text(product.product_id.clone())];
                rows.push([&id[..], &counts, &amount].concat());
                counts = [Cell::Empty, Cell::Empty, Cell::Empty];
            }
        }
        rows
    }
}

/// Ranks the products. Beyond what [`Report::read`] says, the cost grows with the number of products that anything happened to.
pub(crate) async fn get(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    format: Format,
) -> Result<Response, Problem> {
    let Asked { from, to, granularity, time_zone, by, limit, currency } = asked;
    let ranking = Ranking::new(by, currency).map_err(Problem::bad_request)?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!("limit must be 1 to {MAX_LIMIT}")));
    }
    let asked = period::Asked { from, to, granularity, time_zone };
    let period = Period::new(asked, app.clock.now()).map_err(Problem::bad_request)?;
    let best = move |products: Products| ranking.best(products, limit);
    let report = Report::read(&app.analytics, period, best).await?;
    format.answer("analytics-top-products", report)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A product's id, units and revenue.
    type Sold<'a> = (&'a str, u64, &'a [(&'a str, u64)]);

    fn products(all: &[Sold<'_>]) -> Products {
        let product = |(id, units, revenue): &Sold<'_>| {
            let revenue: BTreeMap<Currency, u64> =
                revenue.iter().map(|(currency, amount)| (currency.parse().unwrap(), *amount)).collect();
            let figures = ProductFigures { views: 1, carts: 2, units: *units, revenue };
            (ProductId::try_from((*id).to_owned()).unwrap(), figures)
        };
        Products(all.iter().map(product).collect())
    }

    fn ranked(ranking: Ranking, limit: usize) -> Vec<String> {
        let products = products(&[
            ("beans", 3, &[("EUR", 10), ("USD", 900)]),
            ("apron", 3, &[("EUR", 20)]),
            ("cup", 9, &[]),
        ]);
        let best = ranking.best(products, limit).products;
        best.into_iter().map(|product| product.product_id.into()).collect()
    }

    #[test]
    fn ties_are_in_the_order_of_ids_and_currencies_are_not_mixed() {
        assert_eq!(ranked(Ranking::Units, 10), ["cup", "apron", "beans"]);
        assert_eq!(ranked(Ranking::Units, 1), ["cup"]);
        assert_eq!(ranked(Ranking::Views, 10), ["apron", "beans", "cup"]);
        assert_eq!(ranked(Ranking::Revenue("EUR".parse().unwrap()), 10), ["apron", "beans", "cup"]);
        assert_eq!(ranked(Ranking::Revenue("USD".parse().unwrap()), 1), ["beans"]);
    }

    #[test]
    fn the_counts_of_a_product_sold_in_two_currencies_are_in_one_row() {
        let best = Ranking::Units.best(products(&[("beans", 3, &[("EUR", 10), ("USD", 9)])]), 10);
        let (eur, usd) = (Cell::text("EUR".to_owned()), Cell::text("USD".to_owned()));
        let (one, two, three, id) = (Cell::Number(1), Cell::Number(2), Cell::Number(3), Cell::text("beans"));
        assert_eq!(
            best.rows(),
            [
                vec![one.clone(), id.clone(), one.clone(), two, three, Cell::Number(10), eur],
                vec![one, id, Cell::Empty, Cell::Empty, Cell::Empty, Cell::Number(9), usd],
            ]
        );
    }
}
