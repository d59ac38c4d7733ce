//! Plugins: where they come from, what they may do, and what becomes of those that misbehave.

mod contained;
mod contract;
mod costly;
mod examples;
mod handmade;
mod hostile;
mod identity;
mod installation;
mod kills;
mod registries;
mod requests;
mod signatures;
mod sources;
