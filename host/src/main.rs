use std::process::ExitCode;

fn main() -> ExitCode {
    alekseylearn::run()
}
