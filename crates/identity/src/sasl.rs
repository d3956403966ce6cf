//! The mechanisms, each a file of its own. None of them decides what is offered; none of them sees
//! base64 of the transport; none of them guards its order, which [`crate::Exchange`] does for all.

mod bearer;
mod claim;
mod external;
mod login;
mod plain;
mod scram;

use crate::exchange::{Mechanism, Setting, Steps};

/// The mechanism's steps; `None` when there are none to take, which ends the exchange at once.
pub(crate) fn steps(mechanism: Mechanism, setting: Setting) -> Option<Box<dyn Steps>> {
    Some(match mechanism {
        Mechanism::Plain => Box::new(plain::Plain::new(setting)),
        Mechanism::Login => Box::new(login::Login::new(setting)),
        Mechanism::ScramSha256 => Box::new(scram::Scram::new(setting, false)),
        Mechanism::ScramSha256Plus => Box::new(scram::Scram::new(setting, true)),
        Mechanism::External => Box::new(external::External::new(setting)),
        Mechanism::OauthBearer => Box::new(bearer::Bearer::new(setting, bearer::Form::OauthBearer)),
        Mechanism::Xoauth2 => Box::new(bearer::Bearer::new(setting, bearer::Form::Xoauth2)),
        Mechanism::Gssapi => return None,
        Mechanism::GssSpnego => return None,
        Mechanism::Ntlm => return None,
    })
}
