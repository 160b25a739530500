//! The ports of the local run.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use anyhow::{Context as _, Result, bail};
use template::Template;

/// Where `cargo lambda watch` answers: cargo-lambda's own default.
pub const WATCH: u16 = 9000;
/// Where the AWS emulator answers: the usual one of its kind.
pub const EMULATOR: u16 = 4566;

/// Which port is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// Each service's own port, by function name.
    pub services: BTreeMap<String, u16>,
    /// All functions at once: `cargo lambda watch`.
    pub watch: u16,
    /// The AWS emulator.
    pub emulator: u16,
}

impl Ports {
    /// The documented ports.
    pub fn documented(template: &Template) -> Self {
        let with_port = template.functions().iter();
        let services = with_port.filter_map(|function| Some((function.name.clone(), function.local_port?)));
        Self { services: services.collect(), watch: WATCH, emulator: EMULATOR }
    }

    /// Ports that nobody uses, for tests beside a running system.
    pub fn free(template: &Template) -> Result<Self> {
        // All are held until all are chosen, so that they differ.
        let mut held = Vec::new();
        let mut free = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            anyhow::Ok(port)
        };
        let mut ports = Self::documented(template);
        for port in ports.services.values_mut() {
            *port = free()?;
        }
        ports.watch = free()?;
        ports.emulator = free()?;
        Ok(ports)
    }

    /// Fails, and says whose port is taken and by what, unless all are free.
    pub fn check(&self) -> Result<()> {
        let services = self.services.iter().map(|(service, port)| (service.as_str(), *port));
        Self::check_these(
            services.chain([("cargo lambda watch", self.watch), ("the AWS emulator", self.emulator)]),
        )
    }

    /// Like [`Ports::check`], for the emulator alone.
    pub fn check_emulator(&self) -> Result<()> {
        Self::check_these([("the AWS emulator", self.emulator)].into_iter())
    }

    fn check_these<'a>(ports: impl Iterator<Item = (&'a str, u16)>) -> Result<()> {
        let mut taken: Vec<_> = ports.filter(|(_, port)| is_taken(*port)).collect();
        taken.sort_by_key(|(_, port)| *port);
        let taken: Vec<_> = taken
            .into_iter()
            .map(|(whose, port)| format!("port {port} (for {whose}) is taken{}", by_whom(port)))
            .collect();
        if !taken.is_empty() {
            bail!("{}; stop what uses it, perhaps another `cargo local`", taken.join(", "));
        }
        Ok(())
    }
}

fn is_taken(port: u16) -> bool {
    // `localhost` may mean either address.
    [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].into_iter().any(|address| {
        let bound = TcpListener::bind((address, port));
        bound.is_err_and(|error| matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied))
    })
}

#[cfg(target_os = "linux")]
fn by_whom(port: u16) -> String {
    linux::listener(port).map(|(pid, name)| format!(" by {name} (process {pid})")).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn by_whom(_port: u16) -> String {
    String::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    /// Process id and name of whoever listens on the port, where we may see it.
    pub(super) fn listener(port: u16) -> Option<(u32, String)> {
        let socket = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| socket(table, port))?;
        let wanted = format!("socket:[{socket}]");
        fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
            files
                .find(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))?;
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            Some((pid, name.trim().to_owned()))
        })
    }

    /// Inode of the listening socket; proc(5): `sl local_address rem_address st … inode`, port in hex, state 0A is LISTEN.
    fn socket(table: &str, port: u16) -> Option<String> {
        let table = fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (_, local) = fields.get(1)?.rsplit_once(':')?;
            let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local, 16).ok()? == port;
            listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_who_takes_it() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports { services: BTreeMap::from([("auth".to_owned(), port)]), watch: 0, emulator: 0 };
        let error = ports.check().unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} (for auth) is taken")), "{error}");
        if cfg!(target_os = "linux") {
            assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        }
        drop(taken);
        ports.check().expect("the port is free again");
    }
}
