//! The program as its users meet it. One binary, so that no file is forgotten.

mod architecture;
mod command_line;
mod contract;
mod defaults;
mod hostile;
mod local;
mod mistakes;
mod plugin_sources;
mod plugins;
mod sagemaker;
mod sagemaker_faults;
