//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677, 9266): the client proves that it knows the
//! password, and we that we know its keys, without either being said.
//!
//! Somebody who asks for an account that does not exist, or has no keys, is led to the very end by
//! keys that nobody can prove: made of the name and of a secret of this server, so that they are the
//! same at each try. Nothing but the failure at the end differs from a wrong password, and that is
//! the same failure.

mod messages;

use super::claim::{self, Claim};
use crate::exchange::{Credential, Failure, Setting, Step, Steps, Why};
use crate::inquiry::{Finding, Inquiry, No};
use crate::keys::ScramKeys;
use crate::name::AccountName;
use crate::secret::{Secret, hmac_sha256};
use base64ct::{Base64, Base64Unpadded, Encoding};
use mail::Account;
use messages::{ClientFinal, ClientFirst, Flag};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// SCRAM.
pub(super) struct Scram {
    setting: Setting,
    plus: bool,
    claim: Claim,
    state: State,
}

/// How far the exchange is.
enum State {
    Begun,
    /// The keys have been asked for.
    Asked(Opening),
    /// server-first-message has gone out.
    Challenged(Trial),
    /// The proof was right, and server-final-message has gone out.
    Proved(Arc<Account>),
}

/// What must be kept of client-first-message.
struct Opening {
    /// What `c=` must carry: the header, then what binds to the link.
    binding: Secret,
    /// The client's part of the nonce.
    nonce: Box<str>,
    /// client-first-message-bare.
    bare: Box<str>,
}

/// What a proof is tried by.
struct Trial {
    binding: Secret,
    nonce: String,
    /// client-first-message-bare, and server-first-message.
    said: String,
    keys: ScramKeys,
    /// Whose keys they are; why they are nobody's.
    whose: Result<Arc<Account>, No>,
}

impl Scram {
    pub(super) fn new(setting: Setting, plus: bool) -> Scram {
        Scram { setting, plus, claim: Claim::default(), state: State::Begun }
    }

    fn open(&mut self, response: &[u8]) -> Step {
        let Some(first) = ClientFirst::parse(response) else { return claim::malformed() };
        self.claim = Claim::of(&first.name);
        if first.actor.as_ref().is_some_and(|actor| *actor != first.name) {
            return self.claim.refused(Why::ForAnother);
        }
        let bound = match (first.flag, self.plus) {
            (Flag::Binds(kind), true) => match self.bound_by(kind) {
                Some(bound) => bound,
                None => return self.claim.refused(Why::Binding),
            },
            // RFC 5802 §6: it would have bound, had it seen our offer. Somebody has taken that away.
            (Flag::NotOffered, false) if self.setting.plus_offered => return self.claim.refused(Why::Downgrade),
            (Flag::Cannot | Flag::NotOffered, false) => &[],
            // With -PLUS a client binds, and without it cannot (§6).
            (Flag::Cannot | Flag::NotOffered, true) | (Flag::Binds(_), false) => return claim::malformed(),
        };
        let binding = Secret::new([first.header.as_bytes(), bound].concat());
        self.state = State::Asked(Opening { binding, nonce: first.nonce.into(), bare: first.bare.into() });
        Step::Inquire(Inquiry::ScramKeys { name: first.name })
    }

    /// What binds to this link by this type; `None` if we do not know the type, or it does not bind here.
    fn bound_by(&self, kind: &str) -> Option<&[u8]> {
        let link = self.setting.link.as_ref()?;
        match kind {
            "tls-exporter" => link.exporter.as_ref().map(|exporter| &exporter[..]),
            "tls-server-end-point" => Some(&*link.end_point).filter(|hash| !hash.is_empty()),
            _ => None,
        }
    }

    /// Keys for an account that does not exist, the same at each try. They are made of the name as the
    /// directories compare it, or a change of case would tell such a name from that of an account.
    fn decoy(&self) -> ScramKeys {
        let name = self.claim.name.as_deref().unwrap_or_default();
        let folded = name.parse::<AccountName>().map_or_else(|_| name.to_lowercase(), |name| name.as_str().to_owned());
        let made = |what: &str| hmac_sha256(self.setting.decoy.expose(), &[what.as_bytes(), folded.as_bytes()]);
        ScramKeys {
            salt: made("SCRAM salt\0")[..ScramKeys::SALT_OCTETS].into(),
            iterations: ScramKeys::ITERATIONS,
            stored_key: made("SCRAM StoredKey\0"),
            server_key: Secret::from(&made("SCRAM ServerKey\0")[..]),
        }
    }

    /// server-first-message.
    fn challenge(&mut self, opening: Opening, keys: ScramKeys, whose: Result<Arc<Account>, No>) -> Step {
        let nonce = format!("{}{}", opening.nonce, Base64Unpadded::encode_string(&self.setting.entropy));
        let first = format!("r={nonce},s={},i={}", Base64::encode_string(&keys.salt), keys.iterations);
        let said = format!("{},{first}", opening.bare);
        self.state = State::Challenged(Trial { binding: opening.binding, nonce, said, keys, whose });
        Step::Challenge(first.into_bytes())
    }

    /// Tries the proof, and answers with ours.
    fn conclude(&mut self, trial: &Trial, response: &[u8]) -> Step {
        let Some(last) = ClientFinal::parse(response) else { return claim::malformed() };
        let tried = trial.verdict(&last);
        match tried {
            Ok((account, signature)) => {
                self.state = State::Proved(account);
                // RFC 4954 §4: what the server says last is a challenge, which an empty response answers.
                Step::Challenge(format!("v={}", Base64::encode_string(&signature)).into_bytes())
            }
            Err(why) => self.claim.refused(why),
        }
    }
}

impl Trial {
    /// Whose account is proved, with ServerSignature. All of it is computed before anything is decided.
    fn verdict(&self, last: &ClientFinal<'_>) -> Result<(Arc<Account>, [u8; 32]), Why> {
        let message = [self.said.as_bytes(), b",", last.without_proof.as_bytes()];
        // RFC 5802 §3: ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage)
        let mut client_key = Zeroizing::new(hmac_sha256(&self.keys.stored_key, &message));
        client_key.iter_mut().zip(last.proof).for_each(|(octet, proof)| *octet ^= proof);
        let proved = Sha256::digest(client_key.as_slice()).ct_eq(&self.keys.stored_key);
        let bound = last.binding.ct_eq(self.binding.expose());
        let fresh = last.nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        let signature = hmac_sha256(self.keys.server_key.expose(), &message);
        let whose = self.whose.clone().map_err(Why::Directory);
        match (bool::from(bound), bool::from(proved & fresh)) {
            (true, true) => whose.map(|account| (account, signature)),
            (false, _) => Err(Why::Binding),
            (true, false) => Err(whose.err().unwrap_or(Why::Proof)),
        }
    }
}

impl Steps for Scram {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        match (std::mem::replace(&mut self.state, State::Begun), response) {
            (State::Begun, None) => Step::Challenge(Vec::new()),
            (State::Begun, Some(response)) => self.open(response),
            (State::Challenged(trial), Some(response)) => self.conclude(&trial, response),
            (State::Proved(account), Some([])) => claim::proved(Credential::Account(account.name.clone()), account),
            _ => claim::malformed(),
        }
    }

    fn found(&mut self, finding: Finding) -> Step {
        let State::Asked(opening) = std::mem::replace(&mut self.state, State::Begun) else {
            return claim::malformed();
        };
        // Made whether or not it is needed: it takes time.
        let decoy = self.decoy();
        match finding {
            Finding::ScramKeys(keys, account) if !keys.salt.is_empty() && keys.iterations > 0 => {
                self.challenge(opening, keys, Ok(account))
            }
            Finding::No(no) => self.challenge(opening, decoy, Err(no)),
            _ => Step::Failed(Failure::Unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3, its example, from where the server has chosen its part of the nonce.
    fn example() -> Trial {
        let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        Trial {
            binding: Secret::from("n,,"),
            nonce: nonce.to_owned(),
            said: format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            keys: ScramKeys::from_password("pencil", &salt, 4096).unwrap(),
            whose: Ok(Arc::new(Account::named("user"))),
        }
    }

    fn verdict(trial: &Trial, proof: &str) -> Result<String, Why> {
        let last = format!("c=biws,r={},p={proof}", trial.nonce);
        let last = ClientFinal::parse(last.as_bytes()).unwrap();
        trial.verdict(&last).map(|(_, signature)| Base64::encode_string(&signature))
    }

    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_example_of_rfc_7677() {
        let signature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(verdict(&example(), PROOF).as_deref(), Ok(signature));
        let wrong = PROOF.replace("dHzb", "dHzc");
        assert_eq!(verdict(&example(), &wrong), Err(Why::Proof));
    }

    /// Keys of nobody prove nobody, should somebody know them.
    #[test]
    fn a_right_proof_for_nobody_is_refused() {
        let trial = Trial { whose: Err(No::Suspended), ..example() };
        assert_eq!(verdict(&trial, PROOF), Err(Why::Directory(No::Suspended)));
    }
}
