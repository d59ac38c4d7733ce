//! What a plugin may do: grants, the verbs that it calls, and the one place that decides each of them. Nothing here
//! names wasmtime or performs a verb.

pub(super) mod address;
pub(super) mod audit;
pub(super) mod authority;
pub(super) mod grant;
pub(super) mod never;
pub(super) mod origin;
pub(super) mod pattern;
pub(super) mod verb;
