//! Searches its own memory for a credential after a request to which the host added it. An option contains the request,
//! such as `POST https://…`, and another the credential backwards, so that the memory does not contain it otherwise.

use alekseylearn_sdk::{credentials, http};
use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    let options = training.options();
    let service = options.text("service").unwrap_or_default();
    let (method, address) = service.split_once(' ').unwrap_or_default();
    let backwards = options.text("backwards").unwrap_or_default().into_bytes();
    let request = http::Request::new(method, address);
    let request = if method == "POST" { request.json("{}") } else { request };
    let text = request.send()?.success()?.text()?;
    let origin = address.split('/').take(3).collect::<Vec<_>>().join("/");
    let user = credentials::user(&origin)?.unwrap_or_default();
    let found =
        memory().windows(backwards.len()).filter(|part| part.iter().rev().eq(backwards.iter())).count();
    Ok(vec![
        Finding::note(&format!("answered with {} bytes, as {user}", text.len())),
        Finding::note(&format!("{} bytes hold it {found} times", memory().len())),
    ])
}

#[cfg(target_arch = "wasm32")]
fn memory() -> &'static [u8] {
    let end = std::arch::wasm32::memory_size::<0>() * (64 << 10);
    // SAFETY: this is the module's whole memory from its second byte, and nothing changes it during the search.
    unsafe { std::slice::from_raw_parts(std::ptr::without_provenance(1), end - 1) }
}

#[cfg(not(target_arch = "wasm32"))]
fn memory() -> &'static [u8] {
    &[]
}
