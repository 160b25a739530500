//! Demo data: a catalogue, and the demo user `mahindra` with a profile, an address, a default payment method, an order that
//! awaits payment and a cart with two products.
//!
//! Written through the stores of the services that own it. Each part only where it is absent, so that a restart undoes
//! nothing that somebody did meanwhile, and an interrupted start is completed by the next.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use auth::store::AuthStore;
use cart::model::{Cart, CartLine, Product, ProductId};
use jiff::SignedDuration;
use order::model::Order;
use serde_json::json;
use shared::aws::Aws;
use shared::config::{ConfigError, Env};
use shared::db::{Table, Transaction};
use shared::page::PageQuery;
use shared::token::RevocationLog;
use user::model::{Address, Profile, Username};
use uuid::Uuid;

use crate::watch::Environment;

/// The demo user's name.
pub const DEMO_USER: &str = "mahindra";

/// Id, name, description, price in euro cents, pieces in stock.
const CATALOGUE: [(&str, &str, &str, u64, u32); 8] = [
    ("espresso-cup", "Espresso cup", "Porcelain, 80 ml, keeps the heat.", 890, 120),
    ("moka-pot", "Moka pot", "Aluminium, three cups, for any stove but induction.", 2990, 40),
    ("coffee-beans", "Coffee beans", "Arabica from Ethiopia, medium roast, 1 kg.", 2150, 300),
    ("hand-grinder", "Hand grinder", "Steel burrs, 30 settings.", 7900, 25),
    ("milk-jug", "Milk jug", "Stainless steel, 350 ml.", 1450, 60),
    ("scale", "Kitchen scale", "0.1 g steps up to 2 kg, with a timer.", 3490, 35),
    ("filter-papers", "Filter papers", "Unbleached, 100 pieces.", 490, 500),
    ("kettle", "Gooseneck kettle", "0.9 litres, holds a temperature to the degree.", 8990, 15),
];
const ORDERED: [(&str, u32); 2] = [("moka-pot", 1), ("coffee-beans", 2)];
const IN_CART: [(&str, u32); 2] = [("espresso-cup", 4), ("hand-grinder", 1)];

/// Writes what is missing, into the tables that the environment names.
pub async fn seed(environment: &Environment) -> Result<()> {
    let stores = Stores::load(environment).await?;
    stores.catalogue().await?;
    let user_id = stores.demo_user().await?;
    stores.profile(user_id).await?;
    stores.payment_method(user_id).await?;
    stores.order(user_id).await?;
    stores.cart(user_id).await
}

/// The stores of all services, with their clock and ids.
struct Stores {
    accounts: AuthStore,
    order: order::State,
    payment: payment::State,
}

impl Stores {
    async fn load(environment: &Environment) -> Result<Self> {
        let env = Env::of(environment.clone());
        let aws = Aws::new(&env)?;
        let table = |name| Ok::<_, ConfigError>(Table::new(aws.dynamodb(), env.required(name)?));
        let revocations = RevocationLog::new(table("REVOCATION_TABLE")?);
        let accounts = AuthStore::new(table("AUTH_TABLE")?, table("AUTH_OUTBOX_TABLE")?, revocations);
        let order = order::State::new(&env, &aws)?;
        let payment = payment::State::new(&env, &aws).await.map_err(anyhow::Error::from_boxed)?;
        Ok(Self { accounts, order, payment })
    }

    async fn catalogue(&self) -> Result<()> {
        for (id, name, description, price, stock) in CATALOGUE {
            let product: Product = serde_json::from_value(json!({
                "id": id,
                "name": name,
                "description": description,
                "price": { "amount": price, "currency": "EUR" },
                "stock": stock,
            }))?;
            if self.order.carts.product(&product.id).await?.is_none() {
                self.order.carts.put_product(&product).await?;
            }
        }
        Ok(())
    }

    async fn demo_user(&self) -> Result<Uuid> {
        let username = demo_username()?;
        if let Some(account) = self.accounts.account(&username).await? {
            if !account.demo {
                bail!("the user name {DEMO_USER} is taken; `cargo local --reset` makes room");
            }
            return Ok(account.user_id);
        }
        let now = self.order.clock.now();
        let user_id = self.order.ids.uuid(now);
        self.accounts.put_demo_account(user_id, &username, now).await?;
        Ok(user_id)
    }

    async fn profile(&self, user_id: Uuid) -> Result<()> {
        let users = &self.order.users;
        if users.profile(user_id).await?.is_some() {
            return Ok(());
        }
        let now = self.order.clock.now();
        let label = serde_json::from_value(json!({
            "name": "Mahindra Demo",
            "line1": "Hauptstraße 1",
            "city": "Berlin",
            "postal_code": "10115",
            "country": "DE",
        }))?;
        let address = Address { id: self.order.ids.uuid(now), label };
        let mut transaction = users.transaction();
        transaction.add(users.add_address_write(user_id, &address)?);
        transaction.run().await?;
        let profile: Profile = serde_json::from_value(json!({
            "user_id": user_id,
            "username": demo_username()?,
            "email": "mahindra@example.com",
            "email_verified": true,
            "phone": "+4915112345678",
            "name": "Mahindra Demo",
            "created_at": now,
            "updated_at": now,
        }))?;
        let mut transaction = Transaction::new(users.table().client());
        transaction.add(users.create_write(&profile)?);
        transaction.add(users.verify_writes(user_id, &profile.email, now)?.claim);
        Ok(transaction.run().await?)
    }

    async fn payment_method(&self, user_id: Uuid) -> Result<()> {
        let payments = &self.payment.payments;
        if payments.default_method(user_id).await?.is_none() {
            let visa = json!({ "token": "pm_card_visa", "brand": "visa", "last4": "4242" });
            payments.set_default_method(user_id, &serde_json::from_value(visa)?).await?;
        }
        Ok(())
    }

    /// An order awaiting payment, written as `POST /orders` writes it (but not out of the cart), unless there ever was an
    /// order.
    async fn order(&self, user_id: Uuid) -> Result<()> {
        let order::State { orders, carts, users, clock, ids, .. } = &self.order;
        let first = PageQuery::default();
        if !orders.orders(user_id, &first).await?.items.is_empty() {
            return Ok(());
        }
        let (cart, products) = self.filled(&ORDERED).await?;
        let address = users.addresses(user_id, &first).await?.items.into_iter().next();
        let now = clock.now();
        let address = address.map(|address| address.label);
        // Longer than any other: whoever tries things out takes a break.
        let pay_until = now.checked_add(SignedDuration::from_hours(30 * 24))?;
        let order = Order::place(ids.uuid(now), user_id, &cart, &products, address, now, pay_until)
            .context("cannot place the demo order")?;

        let mut transaction = orders.transaction();
        for write in orders.place_writes(&order)? {
            transaction.add(write);
        }
        for (id, line) in &cart.lines {
            transaction.add(carts.take_stock_write(&products[id], line.quantity)?);
        }
        transaction.run().await.context("cannot place the demo order")
    }

    /// Fills the cart, unless it was ever used.
    async fn cart(&self, user_id: Uuid) -> Result<()> {
        let carts = &self.order.carts;
        let cart = carts.cart(user_id).await?;
        if cart.version == 0 {
            let (filled, _products) = self.filled(&IN_CART).await?;
            carts.save_cart(user_id, &filled).await?;
        }
        Ok(())
    }

    /// A cart that was never saved, of so many of these products, and the products.
    async fn filled(&self, lines: &[(&str, u32)]) -> Result<(Cart, HashMap<ProductId, Product>)> {
        let id = |id: &str| ProductId::try_from(id.to_owned()).map_err(anyhow::Error::msg);
        let ids = lines.iter().map(|(name, _)| id(name)).collect::<Result<Vec<_>>>()?;
        let products = self.order.carts.products(&ids).await?;
        let mut cart = Cart::default();
        for (id, (_, quantity)) in ids.into_iter().zip(lines) {
            let product = products.get(&id).with_context(|| format!("the product {id} is not there"))?;
            cart.lines.insert(id, CartLine::new(product, *quantity));
        }
        Ok((cart, products))
    }
}

fn demo_username() -> Result<Username> {
    Username::try_from(DEMO_USER.to_owned()).map_err(anyhow::Error::msg)
}
