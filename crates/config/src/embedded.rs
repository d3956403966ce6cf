//! The settings of a server that was started without a file: enough to send it a message from this
//! machine and look at what becomes of it, and closed to everybody else.
//!
//! They are a text like any other file, so that they can be shown, copied and changed, and so that
//! there is no second way to make settings.

use toml::Value;

/// What the command line may say about the embedded settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory of the queue and of the drop directory.
    pub state_dir: String,
    /// The domain whose mail is put into the drop directory.
    pub domain: String,
    /// Where the virtual server `inbound` listens.
    pub inbound: String,
    /// Where the virtual server `outbound` listens.
    pub outbound: String,
    /// Where `/metrics` is served.
    pub metrics: String,
    /// The smart host for mail to everywhere else; without one, no mail leaves this machine.
    pub smart_host: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            state_dir: "./bridgehead-data".into(),
            domain: "bridgehead.test".into(),
            inbound: "127.0.0.1:2525".into(),
            outbound: "127.0.0.1:2526".into(),
            metrics: "127.0.0.1:2580".into(),
            smart_host: None,
        }
    }
}

/// The text of the embedded settings.
#[must_use]
pub fn default_text(options: &Options) -> String {
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    // Nobody vouches for it; it is made when the server starts.
    let in_state = |name: &str| quoted(&format!("{}/{name}", options.state_dir.trim_end_matches('/')));
    let certificate =
        format!("{{ certificate = {}, key = {} }}", in_state("self-signed.pem"), in_state("self-signed.key"));
    let mut text = format!(
        r#"# The settings of a server that was started without a file.
hostname = {hostname}
state_dir = {state_dir}

[organization]
domains = [{domain}]

# Mail from this machine to {plain}, which is put into the drop directory.
[virtual_server.inbound]
listen = [{inbound}]

[virtual_server.inbound.tls]
certificates = [{certificate}]
"#,
        hostname = quoted(&format!("mx.{}", options.domain)),
        state_dir = quoted(&options.state_dir),
        domain = quoted(&options.domain),
        plain = options.domain.escape_default(),
        inbound = quoted(&options.inbound),
        certificate = certificate,
    );
    text.push_str(&format!(
        r#"
# Mail from people who prove who they are; their accounts are in a file.
[directory.file.people]
path = {accounts}

[virtual_server.outbound]
listen = [{outbound}]

[virtual_server.outbound.tls]
certificates = [{certificate}]

[virtual_server.outbound.authentication]
anonymous = false
mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
directories = ["people"]

[virtual_server.outbound.relay]
authenticated = true
"#,
        accounts = in_state("accounts"),
        outbound = quoted(&options.outbound),
    ));
    if let Some(smart_host) = &options.smart_host {
        text.push_str(&format!("\n[virtual_server.outbound.delivery]\nsmart_hosts = [{}]\n", quoted(smart_host)));
    }
    text.push_str(&format!("\n[metrics]\nlisten = [{}]\n", quoted(&options.metrics)));
    text
}
