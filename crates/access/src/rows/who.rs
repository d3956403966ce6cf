//! Identities in words.

use super::said as listed;
use crate::classes::ServerClasses;
use crate::identities::{IdentityClass, Member};
use mail::Identity;
use policy::Who;
use std::collections::BTreeSet;

/// Who these are; `barred` are others that must not be thought to be among them.
pub(super) fn said(classes: &ServerClasses, places: &BTreeSet<usize>, barred: &BTreeSet<usize>) -> String {
    if places.len() == classes.identities.len() {
        return "anybody".to_owned();
    }
    let is_account = |at: &usize| matches!(classes.identities[*at].identity, Identity::Account(_));
    let (accounts, others): (Vec<usize>, Vec<usize>) = places.iter().copied().partition(is_account);
    let every: Vec<usize> = (0..classes.identities.len()).filter(is_account).collect();
    let mut parts = Vec::new();
    if others.contains(&0) {
        parts.push("anybody without authenticating".to_owned());
    }
    if accounts.len() == every.len() && !every.is_empty() {
        parts.push("every account".to_owned());
    } else if !accounts.is_empty() {
        parts.push(some_accounts(classes, &accounts, &every, barred));
    }
    let peers: Vec<String> = others.iter().filter_map(|at| peer(&classes.identities[*at])).collect();
    if !peers.is_empty() {
        let word = if peers.len() == 1 { "peer" } else { "peers" };
        parts.push(format!("{word} {}", listed(&peers, "and")));
    }
    listed(&parts, "and")
}

fn peer(class: &IdentityClass) -> Option<String> {
    match &class.identity {
        Identity::Peer(name) => Some(name.to_string()),
        Identity::Anonymous | Identity::Account(_) => None,
    }
}

/// Some accounts, but not all: by whom they are, or by whom they are not.
fn some_accounts(classes: &ServerClasses, places: &[usize], every: &[usize], barred: &BTreeSet<usize>) -> String {
    if places.iter().any(|at| classes.identities[*at].alike.contains(&Member::Unlisted)) {
        let others: Vec<usize> = every.iter().copied().filter(|at| !places.contains(at)).collect();
        return format!("every account except {}", members(classes, &others));
    }
    let said = members(classes, places);
    let denied = exceptions(classes, places, barred);
    if denied.is_empty() { said } else { format!("{said} except {}", named(&denied)) }
}

fn members(classes: &ServerClasses, places: &[usize]) -> String {
    let own = || places.iter().map(|at| &classes.identities[*at]);
    let single: Vec<&Member> = own().flat_map(|class| &class.alike).collect();
    // Who is in several groups is said only where no single one does the same, and no fewer.
    let several = || own().filter(|class| class.alike.is_empty() && !is_one_of(class, &single));
    let several = several().filter(|class| !several().any(|fewer| takes_less(fewer, class)));
    let mut parts: Vec<String> = if single.is_empty() { vec![] } else { vec![named(&single)] };
    parts.extend(several.map(|class| combination(classes, class)));
    listed(&parts, "and")
}

/// Groups and accounts by their names.
fn named(members: &[&Member]) -> String {
    let (mut accounts, mut groups) = (Vec::new(), Vec::new());
    for member in members {
        match member {
            Member::Is(Who::Account(name)) => accounts.push(name.to_string()),
            Member::Is(Who::Group(name)) => groups.push(name.to_string()),
            Member::Unlisted => accounts.push("on no list".to_owned()),
        }
    }
    let mut parts = Vec::new();
    if !groups.is_empty() {
        let word = if groups.len() == 1 { "group" } else { "groups" };
        parts.push(format!("members of {word} {}", listed(&groups, "or")));
    }
    if !accounts.is_empty() {
        let word = if accounts.len() == 1 { "account" } else { "accounts" };
        parts.push(format!("{word} {}", listed(&accounts, "and")));
    }
    listed(&parts, "and")
}

/// Whether the account that stands for a class is already said by its name, or by one of its groups.
fn is_one_of(class: &IdentityClass, single: &[&Member]) -> bool {
    let Identity::Account(account) = &class.identity else { return false };
    single.iter().any(|member| match member {
        Member::Is(Who::Account(name)) => **name == *account.name,
        Member::Is(Who::Group(name)) => account.groups.contains(name),
        Member::Unlisted => false,
    })
}

/// Whether an account that is one is also the other, by the same name and fewer groups.
fn takes_less(one: &IdentityClass, other: &IdentityClass) -> bool {
    match (&one.identity, &other.identity) {
        (Identity::Account(one), Identity::Account(other)) => {
            one.name == other.name
                && one.groups.len() < other.groups.len()
                && one.groups.iter().all(|group| other.groups.contains(group))
        }
        _ => false,
    }
}

/// Accounts that it takes several groups to be, or a name and a group.
fn combination(classes: &ServerClasses, class: &IdentityClass) -> String {
    let Identity::Account(account) = &class.identity else { return String::new() };
    let groups: Vec<String> = account.groups.iter().map(ToString::to_string).collect();
    let all = listed(&groups, "and");
    let own = Member::Is(Who::Account(account.name.clone()));
    match (classes.identities.iter().any(|class| class.alike.contains(&own)), groups.len()) {
        (true, 1) => format!("account {} in group {all}", account.name),
        (true, _) => format!("account {} in groups {all}", account.name),
        (false, 2) => format!("members of both groups {all}"),
        (false, _) => format!("members of all groups {all}"),
    }
}

/// Members who, being some of these as well, are barred: a denial names them.
fn exceptions<'c>(classes: &'c ServerClasses, places: &[usize], barred: &BTreeSet<usize>) -> Vec<&'c Member> {
    let denied = |class: &&IdentityClass| {
        let together = places.iter().filter_map(|at| classes.identities[*at].together_with(class));
        let at = |key| classes.identities.iter().position(|other| other.is(key));
        let mut at = together.filter_map(at);
        at.any(|at| barred.contains(&at))
    };
    let unlisted = |class: &&IdentityClass| class.alike.contains(&Member::Unlisted);
    let others = classes.identities.iter().enumerate().filter(|(at, _)| !places.contains(at)).map(|(_, class)| class);
    others.filter(|class| !unlisted(class) && denied(class)).flat_map(|class| &class.alike).collect()
}
