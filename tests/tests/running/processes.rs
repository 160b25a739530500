//! The processes of a running system, by the process table.

use std::path::Path;

use local::system::Background;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The instances of a function.
pub(crate) fn of(system: &Background, function: &str) -> Vec<Pid> {
    let address = system.addresses.watch.trim_start_matches("http://127.0.0.1");
    let is_instance = |process: &Path| {
        let program = std::fs::read_link(process.join("exe")).unwrap_or_default();
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        program.file_name().is_some_and(|name| name == function)
            && environment.split(|byte| *byte == 0).any(|variable| {
                let variable = String::from_utf8_lossy(variable);
                variable.starts_with("AWS_LAMBDA_RUNTIME_API=") && variable.contains(address)
            })
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let instances = processes.filter(|process| is_instance(&process.path()));
    instances.filter_map(|process| Some(Pid::from_raw(process.file_name().to_str()?.parse().ok()?))).collect()
}

/// Kills all instances of a function, as nothing can be caught.
pub(crate) fn kill_all(system: &Background, function: &str) {
    for process in of(system, function) {
        // It may have ended by itself.
        let _gone = kill(process, Signal::SIGKILL);
    }
}
