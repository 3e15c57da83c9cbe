//! The `streamrole` binary; the library has all the code.

use std::process::ExitCode;

fn main() -> ExitCode {
    streamrole::cli::main()
}
