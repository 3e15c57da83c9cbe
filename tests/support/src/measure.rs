//! `make measure` asserts the figures that depend on the machine; `make test` does not.

/// Whether this run measures: it uses the full load, and asserts limits of time and memory.
#[must_use]
pub fn measures() -> bool {
    std::env::var_os("MEASURE").is_some_and(|value| !value.is_empty())
}

/// The number of cases per property: 1,000, or the value of `PROPTEST_CASES`.
#[must_use]
pub fn cases() -> u32 {
    let given = std::env::var("PROPTEST_CASES").ok();
    given.and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}
