//! `make generate`: writes every generated file, and prints the names of the changed ones.

use std::io::Write as _;
use std::process::ExitCode;

use support::{Error, Generated};

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, there is no place left to report to.
            let _ = writeln!(std::io::stderr(), "generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), Error> {
    for generated in Generated::all()? {
        for path in generated.paths() {
            if std::fs::read_to_string(&path).is_ok_and(|text| text == generated.text) {
                continue;
            }
            // Written atomically: an interruption leaves no partial file.
            let new = path.with_added_extension("new");
            std::fs::write(&new, &generated.text)?;
            std::fs::rename(&new, &path)?;
            writeln!(std::io::stdout(), "{}", path.display())?;
        }
    }
    Ok(())
}
