//! Arbitrary bodies on every route that takes one: no 5xx, no panic, and errors of the documented form.
//!
//! An input is `METHOD path content-type`, a line break, and the body.
#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use fuzz::System;
use http::Method;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use shared::routes::Route;
use tokio::runtime::{Builder, Runtime};

const CONTENT_TYPES: [&str; 2] = ["application/json", "application/x-www-form-urlencoded"];

/// Every route with a body, and its service.
static ROUTES: LazyLock<Vec<(&'static str, Route)>> = LazyLock::new(|| {
    let all = tests::services().into_iter();
    let all = all.flat_map(|(service, routes)| routes.into_iter().map(move |route| (service, route)));
    all.filter(|(_, route)| [Method::POST, Method::PUT, Method::PATCH].contains(&route.method)).collect()
});

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

static SYSTEM: LazyLock<Mutex<System>> = LazyLock::new(|| Mutex::new(RUNTIME.block_on(System::start())));

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((head, body)) = split(input) else { return Corpus::Reject };
    let Some((service, route, content_type)) = understood(head) else { return Corpus::Reject };
    let mut system = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    RUNTIME.block_on(system.send(service, route.method.clone(), &route.path, content_type, body));
    Corpus::Keep
});

// A byte changed in the first line would make the input meaningless, so it changes as a whole, and rarely.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let (head, body) = split(&data[..size]).unwrap_or_default();
    let pick = |of: usize| usize::try_from(seed >> 8).unwrap_or_default() % of;
    let head = if understood(head).is_none() || seed % 16 == 0 {
        let (_, route) = &ROUTES[pick(ROUTES.len())];
        let content_type = CONTENT_TYPES[pick(CONTENT_TYPES.len())];
        format!("{} {} {content_type}\n", route.method, route.path).into_bytes()
    } else {
        [head, b"\n"].concat()
    };
    let body = body.to_vec();
    if head.len() + body.len() > max_size {
        return size;
    }
    data[..head.len()].copy_from_slice(&head);
    data[head.len()..head.len() + body.len()].copy_from_slice(&body);
    head.len() + fuzzer_mutate(&mut data[head.len()..], body.len(), max_size - head.len())
});

fn split(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    Some((&input[..end], &input[end + 1..]))
}

fn understood(head: &[u8]) -> Option<(&'static str, &'static Route, &str)> {
    let [method, path, content_type] = str::from_utf8(head).ok()?.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let mut routes = ROUTES.iter();
    let (service, route) = routes.find(|(_, route)| route.method.as_str() == method && route.path == path)?;
    CONTENT_TYPES.contains(&content_type).then_some((*service, route, content_type))
}
