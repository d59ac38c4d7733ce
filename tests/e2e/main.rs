//! The program as its users meet it. One binary, so that no file is forgotten.

mod architecture;
mod bad_days;
mod clean;
mod command_line;
mod contract;
mod defaults;
mod distributed;
mod doctor;
mod engines;
mod handmade;
mod hostile;
mod kaggle;
mod kills;
mod local;
mod mistakes;
mod plugin_sources;
mod plugins;
mod projects;
mod python;
mod recipe;
mod registries;
mod requests;
mod sagemaker;
mod sagemaker_faults;
mod sagemaker_options;
mod signatures;
