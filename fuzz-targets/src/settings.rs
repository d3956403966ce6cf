//! The settings file: any text is settings or mistakes, and the mistakes can be shown.

use config::{Config, Severity};

pub(crate) fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Config::from_text("fuzzed.toml", text) {
        Ok((config, warnings)) => {
            assert!(warnings.iter().all(|mistake| mistake.severity == Severity::Warning));
            is_shown(&config::render("fuzzed.toml", text, &warnings, false));
            assert!(!config.servers.is_empty());
            for server in &config.servers {
                assert!(!server.listen.is_empty() && config.server(&server.name).is_some());
            }
        }
        Err(mistakes) => {
            assert!(mistakes.list().iter().any(|mistake| mistake.severity == Severity::Error));
            assert!(mistakes.list().iter().all(|m| !m.key.is_empty() || m.found.starts_with("not TOML")), "{mistakes}");
            is_shown(&mistakes.render(false));
            assert!(!mistakes.render(true).is_empty());
        }
    }
}

/// What is printed cannot move a terminal.
fn is_shown(page: &str) {
    let bad = page.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(bad, None, "{page:?}");
}
