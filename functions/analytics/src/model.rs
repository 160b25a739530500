//! Events, and who they are about.

mod device;
mod event;
mod name;
mod properties;

pub use device::Device;
pub use event::{AnonymousId, Event, Sold, Subject};
pub use name::EventName;
pub use properties::Properties;
