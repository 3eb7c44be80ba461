//! Randomness that does not depend on the order of events: what is drawn for a call follows from
//! the seed and the call, so that a run can be repeated although its timing cannot.

/// A draw for `number` in the role of `role`, evenly from all numbers.
pub(crate) fn draw(seed: u64, number: u64, role: u64) -> u64 {
    let mixed = seed
        ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ role.wrapping_mul(0xD1B5_4A32_D192_ED03);
    fastrand::Rng::with_seed(mixed).u64(..)
}
