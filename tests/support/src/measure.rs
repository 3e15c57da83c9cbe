//! What depends on the machine is asserted by `make measure`, not by `make test`.

/// Whether this run is for figures: the load is the whole one, and limits of time and memory are asserted.
#[must_use]
pub fn measures() -> bool {
    std::env::var_os("MEASURE").is_some_and(|value| !value.is_empty())
}

/// How many cases a property is tested with: 1,000, or what `PROPTEST_CASES` says.
#[must_use]
pub fn cases() -> u32 {
    let given = std::env::var("PROPTEST_CASES").ok();
    given.and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}
