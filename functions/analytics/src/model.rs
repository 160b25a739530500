//! Events, who they are about, and the sums of them that a shop owner asks for.

mod device;
mod event;
mod name;
mod properties;
mod sums;

pub use device::Device;
pub use event::{AnonymousId, Event, Sold, Subject};
pub use name::EventName;
pub use properties::Properties;
pub use sums::{Days, Sums, day_of};
