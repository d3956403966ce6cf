//! Where a virtual server departs from the table of roles (reference 9.1, source S3), cell by cell.

use super::{Finding, Severity, View};
use crate::audit::role_name;
use config::Role;
use identity::Mechanism;
use policy::{Allowed, Mode};

/// What a column of the table says of a role.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// It must be so.
    Yes,
    /// It must not.
    No,
    /// Only where the condition in the table holds, which the settings show by naming accounts.
    OnlyForThoseNamed,
    /// Either.
    Either,
}

/// A row of the table: anonymous access, Basic, Integrated, and whether accounts may be named in the list of users.
fn row(role: Role) -> [Cell; 4] {
    use Cell::{Either, No, OnlyForThoseNamed, Yes};
    match role {
        Role::SmtpGateway => [Yes, OnlyForThoseNamed, Yes, OnlyForThoseNamed],
        Role::Mailbox => [No, No, Yes, No],
        Role::FrontEnd => [No, No, Either, No],
        Role::AllInOne => [Yes, No, Yes, No],
    }
}

/// The deviations of one virtual server; none where it has no role.
pub(super) fn of(view: &View<'_>) -> Vec<Finding> {
    let Some(role) = view.server.role else { return Vec::new() };
    let rules = &view.server.rules;
    let [anonymous, basic, integrated, users] = row(role);
    let is_basic = |mechanism: &&Mechanism| matches!(mechanism, Mechanism::Plain | Mechanism::Login);
    let (basics, others): (Vec<&Mechanism>, Vec<&Mechanism>) =
        view.server.authentication.mechanisms.iter().partition(is_basic);
    let (everyone, named) = match &rules.submit.allow {
        Allowed::Everyone(_) => (true, false),
        Allowed::Only(holders) => (false, !holders.entries().is_empty()),
    };
    let has_auth = view.server.session.has_auth();
    let columns = [
        (
            "anonymous",
            differs(anonymous, rules.authentication.anonymous, named),
            "authentication.anonymous",
            if anonymous == Cell::Yes { "anonymous access is off" } else { "anonymous access is on" },
            if anonymous == Cell::Yes { "= true" } else { "= false" },
        ),
        (
            "basic",
            differs(basic, !basics.is_empty(), named),
            "authentication.mechanisms",
            "Basic authentication (PLAIN, LOGIN) is offered",
            "without PLAIN and LOGIN",
        ),
        (
            "integrated",
            differs(integrated, !others.is_empty(), named),
            "authentication.mechanisms",
            "it offers no mechanism that hides the secret, and servers of the organization need one",
            "= [\"GSSAPI\"], or another that shows no password",
        ),
        (
            "users",
            has_auth && (everyone || differs(users, named, named)),
            "submit.allow",
            if everyone { "every account may submit" } else { "accounts may submit" },
            "= []",
        ),
        (
            "relay-list",
            rules.relay.mode == Mode::AllExcept,
            "relay.mode",
            "relaying is for all except the list",
            "= \"only\"",
        ),
        (
            "relay-authenticated",
            rules.relay.authenticated,
            "relay.authenticated",
            "all who authenticate may relay, which no device is helped by that cannot",
            "= false",
        ),
    ];
    let differing = columns.into_iter().filter(|column| column.1);
    differing
        .map(|(name, _, key, what, mend)| {
            let mut finding = view.finding(
                "role",
                Severity::Warning,
                key,
                [
                    format!("{} is no {}: {what}.", view.server.name, role_name(role)),
                    "It departs from the table of roles (source S3, figure 5).".to_owned(),
                    format!("Write {} {mend}.", view.key(key)),
                ],
            );
            finding.id = format!("role:{}:{name}", view.server.name);
            finding
        })
        .collect()
}

fn differs(cell: Cell, is: bool, named: bool) -> bool {
    match cell {
        Cell::Yes => !is,
        Cell::No => is,
        Cell::OnlyForThoseNamed => is && !named,
        Cell::Either => false,
    }
}
