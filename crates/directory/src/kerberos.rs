//! Kerberos: clients that come with a ticket for this service, by GSSAPI or SPNEGO.
//!
//! The system's Kerberos library decides about tickets: it knows keytabs, key versions and replays. It
//! blocks, so it is called on threads of its own, few of them, and no caller waits for it for ever.
//! This program can be built without it; then settings that name Kerberos do not start.

#[cfg(feature = "gssapi")]
mod acceptor;
#[cfg(any(test, feature = "gssapi"))]
mod principal;

#[cfg(feature = "gssapi")]
pub use self::acceptor::Kerberos;
use identity::Package;

/// What names the keytab in the environment of a process, and when it was started, for good.
pub const KEYTAB_VARIABLE: &str = "KRB5_KTNAME";

/// Whether this is an exchange for Kerberos.
#[must_use]
pub fn takes(package: Package) -> bool {
    matches!(package, Package::Gssapi | Package::Spnego)
}

/// Kerberos, in a program that was built without it: there is none.
#[cfg(not(feature = "gssapi"))]
#[derive(Debug)]
pub struct Kerberos(std::convert::Infallible);

#[cfg(not(feature = "gssapi"))]
impl Kerberos {
    /// Nothing is read here, so nothing else would be.
    #[must_use]
    pub fn reads(_keytab: &std::path::Path) -> bool {
        true
    }

    /// Says that it is not there.
    ///
    /// # Errors
    /// Always.
    pub fn open(_settings: &identity::settings::Kerberos) -> std::io::Result<Kerberos> {
        let text = "this program was built without Kerberos: build it with the feature gssapi";
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text))
    }

    /// There is nothing to be called.
    #[expect(clippy::unused_async, reason = "as it is with Kerberos")]
    pub async fn converse(&self, _inquiry: identity::Inquiry) -> identity::Finding {
        match self.0 {}
    }
}

#[cfg(all(test, not(feature = "gssapi")))]
mod tests {
    use super::Kerberos;
    use identity::settings;

    #[test]
    fn without_the_library_settings_that_name_it_do_not_start() {
        let host = "mx.corp.example".parse().unwrap();
        let settings = settings::Kerberos { keytab: "/k".into(), realm: "CORP.EXAMPLE".into(), host };
        let error = Kerberos::open(&settings).unwrap_err();
        assert!(error.to_string().contains("feature gssapi"), "{error}");
    }
}
