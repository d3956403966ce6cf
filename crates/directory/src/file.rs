//! The account file, as a directory: read again when it has changed, passwords checked where that
//! keeps nobody waiting.

use crate::Clock;
use crate::desk::Desk;
use crate::notice::Teller;
use crate::watched::Watched;
use identity::accounts::{ACCOUNT_FILE_OCTETS, Accounts};
use identity::{Finding, Inquiry, Secret};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Mistakes of a file that are told at one time.
const MISTAKES: usize = 5;

/// An account file.
pub(crate) struct AccountFile {
    accounts: Arc<Watched<Accounts>>,
    clock: Clock,
    desk: Desk,
}

impl AccountFile {
    /// Reads the file, which must be there and sound.
    pub(crate) fn open(path: &Path, clock: Clock, desk: Desk, teller: Teller) -> io::Result<AccountFile> {
        let accounts = Arc::new(Watched::open(path, ACCOUNT_FILE_OCTETS as u64, read, teller)?);
        Ok(AccountFile { accounts, clock, desk })
    }

    /// Answers an inquiry. Only one about a password takes time.
    pub(crate) async fn answer(&self, inquiry: &mut Inquiry) -> Finding {
        let accounts = self.accounts.current().await;
        let now = (self.clock)();
        let Inquiry::Password { name, password } = inquiry else { return accounts.answer(inquiry, now) };
        let inquiry = Inquiry::Password { name: name.clone(), password: Secret::from(password.expose()) };
        self.desk.work(move || accounts.answer(&inquiry, now)).await.unwrap_or(Finding::Unavailable)
    }

    /// The account of this name, for whoever has proved elsewhere that it is theirs.
    pub(crate) async fn account(&self, name: &str) -> Finding {
        self.accounts.current().await.account(name, (self.clock)())
    }
}

fn read(octets: &[u8]) -> Result<Accounts, String> {
    Accounts::read(octets).map_err(|mistakes| {
        let shown: Vec<String> = mistakes.iter().take(MISTAKES).map(ToString::to_string).collect();
        let more = mistakes.len() - shown.len();
        if more == 0 { shown.join("; ") } else { format!("{}; and {more} more", shown.join("; ")) }
    })
}
