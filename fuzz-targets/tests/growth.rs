//! Twice the input, twice the steps. Steps are counted, not timed; what cannot be counted from
//! outside is measured by `cargo xtask fuzz --doubling`.

use fuzz_targets::growth::GROWING;

#[test]
fn steps_grow_as_the_input_does() {
    for growing in GROWING {
        let mut before = None;
        for doubled in 0..3 {
            let input = (growing.input)(growing.smallest << doubled);
            let steps = (growing.read)(&input);
            assert!(steps >= input.len() as u64 / 2, "{}: nothing was read", growing.name);
            if let Some(before) = before {
                assert!(steps <= before * 5 / 2, "{}: {before} steps, {steps} for twice the input", growing.name);
            }
            before = Some(steps);
        }
    }
}
