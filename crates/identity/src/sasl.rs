//! The mechanisms, each a file of its own. None of them decides what is offered; none of them sees base64.

mod gss;
mod ntlm;
mod plain;

use crate::exchange::{Mechanism, Setting, Steps};
use crate::inquiry::Package;

/// The mechanism's steps.
pub(crate) fn steps(mechanism: Mechanism, setting: Setting) -> Box<dyn Steps> {
    match mechanism {
        Mechanism::Gssapi => Box::new(gss::Relay::new(Package::Gssapi, setting)),
        Mechanism::GssSpnego => Box::new(gss::Relay::new(Package::Spnego, setting)),
        Mechanism::Ntlm => Box::new(ntlm::Ntlm::new(setting)),
        _ => Box::new(plain::Plain::default()),
    }
}
