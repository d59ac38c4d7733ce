//! The program as its users meet it. One binary, so that no file is forgotten.

mod cli;
mod daemonless;
mod jobs;
mod kaggle;
mod local;
mod plugin;
mod project;
mod sagemaker;
mod vertex;
