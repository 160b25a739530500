//! `cargo local`: the whole system on one machine.
//!
//! [`system::System`] starts, in this order: the tools ([`tools`]), the key pair ([`keys`]), the AWS emulator
//! ([`emulator`]) with what `template.yaml` declares ([`provision`]) and the demo data ([`seed`]), the functions
//! ([`watch`]), a port for each service ([`gateway`]), and what brings events and schedules to the workers
//! ([`delivery`]). Everything it starts is a guarded process ([`guard`]), so that nothing is left behind however it ends.
//!
//! A library, so that the end-to-end tests start the very same system on free ports.

mod ambient;
pub mod delivery;
pub mod deploy;
pub mod docs;
pub mod emulator;
pub mod gateway;
pub mod guard;
pub mod invoke;
pub mod keys;
pub mod logs;
pub mod new;
pub mod operator;
pub mod outbox;
pub mod ports;
pub mod preview;
pub mod process;
pub mod provision;
pub mod rotate;
pub mod seed;
pub mod simulate;
pub mod system;
pub mod tools;
pub mod watch;
pub mod workspace;

/// The documented session, verbatim as in the README.
pub const SESSION: [&str; 5] = [
    r#"curl -X POST http://localhost:8000/login -H "Content-Type: application/json" -d '{"username":"mahindra"}'"#,
    r#"curl -H "Authorization: Bearer <token>" http://localhost:8001/profile"#,
    r#"curl -H "Authorization: Bearer <token>" http://localhost:8002/cart"#,
    r#"curl -H "Authorization: Bearer <token>" http://localhost:8003/orders"#,
    r#"curl -X POST -H "Authorization: Bearer <token>" http://localhost:8004/pay"#,
];
