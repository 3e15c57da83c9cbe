//! `make generate`: writes every file that comes from the code, and names those that change.

use std::io::Write as _;
use std::process::ExitCode;

use support::{Error, Generated};

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
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
            // Whole or not at all: what is interrupted leaves no half of a file.
            let new = path.with_added_extension("new");
            std::fs::write(&new, &generated.text)?;
            std::fs::rename(&new, &path)?;
            writeln!(std::io::stdout(), "{}", path.display())?;
        }
    }
    Ok(())
}
