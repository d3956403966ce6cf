//! The mechanisms, each a file of its own. None of them decides what is offered; none of them sees base64.

mod plain;

use crate::exchange::{Mechanism, Setting, Steps};

/// The mechanism's steps.
pub(crate) fn steps(mechanism: Mechanism, _setting: Setting) -> Box<dyn Steps> {
    match mechanism {
        _ => Box::new(plain::Plain::default()),
    }
}
