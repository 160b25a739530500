//! What kind of device an event came from.

use serde::{Deserialize, Serialize};

/// A class of devices: all that is kept of the header `User-Agent`, which as a whole could tell people apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A program that says that it is one.
    Bot,
    /// A phone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A computer.
    Desktop,
    /// Anything else, and where nothing was said.
    Unknown,
}

impl Device {
    /// The class of what sends this `User-Agent`. A tablet with Android is one that does not say `Mobile`:
    /// <https://developer.chrome.com/docs/privacy-security/user-agent-client-hints>
    pub fn of(user_agent: &str) -> Self {
        let agent = user_agent.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| agent.contains(word));
        if says(&["bot", "crawl", "spider", "slurp", "curl/", "wget/", "python-", "headless"]) {
            Self::Bot
        } else if says(&["ipad", "tablet", "kindle", "silk/"]) || (says(&["android"]) && !says(&["mobile"])) {
            Self::Tablet
        } else if says(&["mobile", "iphone", "ipod"]) {
            Self::Mobile
        } else if says(&["windows nt", "macintosh", "x11", "cros "]) {
            Self::Desktop
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_class() {
        for (agent, device) in [
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Device::Bot),
            ("curl/8.5.0", Device::Bot),
            ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0.0.0 Safari/537.36", Device::Bot),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148", Device::Mobile),
            ("Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile Safari/537.36", Device::Mobile),
            ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", Device::Mobile),
            ("Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Safari/537.36", Device::Tablet),
            ("Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) Mobile/15E148", Device::Tablet),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0 Safari/537.36", Device::Desktop),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", Device::Desktop),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Device::Desktop),
            ("", Device::Unknown),
            ("ShopApp/1.0", Device::Unknown),
        ] {
            assert_eq!(Device::of(agent), device, "{agent}");
        }
    }
}
