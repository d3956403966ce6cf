//! The account file: any octets are accounts or mistakes, and accounts can be changed one by one.

use identity::AccountName;
use identity::accounts::{Accounts, Change, edit};
use identity::{Finding, No};
use mail::Timestamp;

pub(crate) fn run(octets: &[u8]) {
    let accounts = match Accounts::read(octets) {
        Ok(accounts) => accounts,
        Err(mistakes) => {
            assert!((1..=100).contains(&mistakes.len()), "{mistakes:?}");
            assert!(mistakes.iter().all(|mistake| !mistake.text.chars().any(char::is_control)), "{mistakes:?}");
            return;
        }
    };
    let text = str::from_utf8(octets).expect("a file without mistakes is UTF-8");
    for entry in accounts.entries().iter().take(4) {
        let name: AccountName = entry.account().name.parse().expect("a name is its own name");
        let finding = accounts.account(name.as_str(), Timestamp::default());
        assert!(!matches!(finding, Finding::No(No::Unknown)), "{name} is not found");

        let suspended = edit(text, &name, &[Change::Suspend]).expect("who is there can be suspended");
        let resumed = edit(&suspended, &name, &[Change::Resume]).expect("and resumed");
        let again = Accounts::read(resumed.as_bytes()).expect("what was written is read");
        let same = again.entries().iter().zip(accounts.entries()).all(|(a, b)| a.account() == b.account());
        assert!(same && again.entries().len() == accounts.entries().len(), "{name} was changed");

        let removed = edit(text, &name, &[Change::Remove]).expect("and removed");
        let rest = Accounts::read(removed.as_bytes()).expect("what was written is read");
        assert_eq!(rest.entries().len() + 1, accounts.entries().len());
        assert!(rest.entries().iter().all(|other| other.account().name != entry.account().name));
    }
}
