//! What users log in with, and whether an account was used from it before, pure.
//!
//! A device is known by what it calls itself, which anybody can imitate who knows it: this finds what is unusual, and
//! proves nothing.

use aws_lc_rs::digest;

use super::Account;
use super::session;

/// An account knows so many devices; a further one displaces the one that it has known for longest.
const KNOWN: usize = 20;
/// Longer names are cut off where somebody is told of them, in characters.
const SHORT: usize = 100;

/// What a request says that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// As it is kept with the session; none where it says nothing.
    pub(crate) name: Option<String>,
    fingerprint: String,
}

impl Device {
    /// What a `User-Agent` tells. All that say nothing are one device, or else a thief would say nothing.
    pub(crate) fn of(user_agent: &str) -> Self {
        // Of the whole, not of the name: where that is cut off depends on how long the numbers in it are.
        Self { name: session::device(user_agent), fingerprint: fingerprint(user_agent.trim()) }
    }

    /// The name for whoever is told of the device.
    pub(crate) fn short_name(&self) -> String {
        let name = self.name.as_deref().unwrap_or("(nothing)");
        name.chars().take(SHORT).collect()
    }
}

impl Account {
    /// Adds the device to those that the account was used from; whether it is a new one that its user should hear of. A first
    /// device is none: it is new to everybody who just registered, and nothing is known of accounts from before.
    pub(crate) fn note_device(&mut self, device: &Device) -> bool {
        if self.devices.contains(&device.fingerprint) {
            return false;
        }
        let told = !self.devices.is_empty();
        self.devices.push(device.fingerprint.clone());
        let surplus = self.devices.len().saturating_sub(KNOWN);
        self.devices.drain(..surplus);
        told
    }
}

/// The same for all versions of one browser on one system, so that an update is no new device.
fn fingerprint(user_agent: &str) -> String {
    let lasting: String = user_agent.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
    let hash = digest::digest(&digest::SHA256, lasting.as_bytes());
    let first = hash.as_ref().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
    format!("{first:016x}")
}
