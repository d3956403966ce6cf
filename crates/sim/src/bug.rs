//! Bugs that are planted into the rules, behind the settings: what the settings say is innocent, and what
//! the gateway judges by is not. Nothing but the gate can notice.

use config::Config;
use policy::{List, Mode, Rights, Rules};
use std::str::FromStr;
use std::sync::Arc;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Whoever may send mail may relay.
    EverybodyRelays,
    /// Whoever may connect may send mail.
    EverybodySubmits,
    /// Every account may send mail, and no denial is heard.
    EveryAccountSubmits,
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Bug, String> {
        match text {
            "everybody-relays" => Ok(Bug::EverybodyRelays),
            "everybody-submits" => Ok(Bug::EverybodySubmits),
            "every-account-submits" => Ok(Bug::EveryAccountSubmits),
            _ => Err(format!("no such bug: {text}")),
        }
    }
}

impl Bug {
    /// Plants it at every virtual server.
    pub(crate) fn plant(self, config: &mut Config) {
        for server in &mut config.servers {
            let rules: &mut Rules = Arc::make_mut(&mut server.rules);
            match self {
                Bug::EverybodyRelays => {
                    rules.relay.mode = Mode::AllExcept;
                    rules.relay.list = List::new(rules.relay.mode_rule, Vec::new());
                }
                Bug::EverybodySubmits => rules.authentication.anonymous = true,
                Bug::EveryAccountSubmits => {
                    rules.submit = Rights::everyone(rules.submit.deny.rule());
                }
            }
        }
    }
}
