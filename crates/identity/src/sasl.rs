//! The mechanisms, each a file of its own. None of them decides what is offered; none of them sees
//! base64 of the transport; none of them guards its order, which [`crate::Exchange`] does for all.

mod bearer;
mod claim;
mod external;
mod gss;
mod login;
mod ntlm;
mod plain;
mod scram;

use crate::exchange::{Mechanism, Setting, Steps};
use crate::inquiry::Package;

/// The mechanism's steps.
pub(crate) fn steps(mechanism: Mechanism, setting: Setting) -> Box<dyn Steps> {
    match mechanism {
        Mechanism::Plain => Box::new(plain::Plain::new(setting)),
        Mechanism::Login => Box::new(login::Login::new(setting)),
        Mechanism::ScramSha256 => Box::new(scram::Scram::new(setting, false)),
        Mechanism::ScramSha256Plus => Box::new(scram::Scram::new(setting, true)),
        Mechanism::External => Box::new(external::External::new(setting)),
        Mechanism::OauthBearer => Box::new(bearer::Bearer::new(setting, bearer::Form::OauthBearer)),
        Mechanism::Xoauth2 => Box::new(bearer::Bearer::new(setting, bearer::Form::Xoauth2)),
        Mechanism::Gssapi => Box::new(gss::Relay::new(Package::Gssapi, setting)),
        Mechanism::GssSpnego => Box::new(gss::Relay::new(Package::Spnego, setting)),
        Mechanism::Ntlm => Box::new(ntlm::Ntlm::new(setting)),
    }
}
