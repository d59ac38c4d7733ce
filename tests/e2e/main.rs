//! The program as its users meet it. One binary, so that no file is forgotten.

mod architecture;
mod command_line;
mod local;
mod mistakes;
mod sagemaker;
mod sagemaker_faults;
