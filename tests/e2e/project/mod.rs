//! What a project is: its files, its dependencies, and the places that these come from.

mod cache;
mod dependencies;
mod files;
mod indexes;
mod layouts;
mod logins;
pub(crate) mod projects;
mod strangers;
