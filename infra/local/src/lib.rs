//! `cargo local`: the whole system on one machine.
//!
//! [`system::System`] starts, in this order: the tools ([`tools`]), the key pair ([`keys`]), the AWS emulator ([`emulator`]) with
//! what `template.yaml` declares ([`provision`]) and the demo data ([`seed`]), the functions ([`watch`]) and a port for
//! each service ([`gateway`]). Everything it starts
//! is a guarded process ([`guard`]), so that nothing is left behind however it ends.
//!
//! A library, so that the end-to-end tests start the very same system on free ports.

mod ambient;
pub mod delivery;
pub mod emulator;
pub mod gateway;
pub mod guard;
pub mod invoke;
pub mod keys;
pub mod logs;
pub mod ports;
pub mod process;
pub mod provision;
pub mod seed;
pub mod system;
pub mod tools;
pub mod watch;
pub mod workspace;
