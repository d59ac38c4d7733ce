//! The command line, and what is kept and shown of jobs.

mod architecture;
mod checks;
mod clean;
mod command_line;
mod completions;
mod defaults;
mod demo;
mod doctor;
mod documentation;
mod documentation_commands;
mod documentation_reference;
mod mistakes;
mod recipe;
mod records;
mod reports;
mod secrets;
mod terminal;
mod trust;
