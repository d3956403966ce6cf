//! What the table says of settings that anybody can read.

use crate::{NOW, config};
use access::{Classes, Table, Verdict, Why};
use policy::Grant;

#[test]
fn a_device_may_relay_and_its_neighbour_may_not() {
    let config = config(
        "hostname = \"mx.corp.example\"\nstate_dir = \"/var/lib/bridgehead\"\n\
         [organization]\ndomains = [\"corp.example\"]\n\
         [virtual_server.gateway]\nlisten = [\"10.0.0.1:25\"]\n\
         relay.mode = \"only\"\nrelay.list = [\"10.0.5.5\"]\n",
    );
    let classes = Classes::of(&[&config], NOW);
    let table = Table::of(&config, &classes);
    let relayed: Vec<_> = table.cells().filter(|cell| cell.verdict.is_relayed()).collect();
    assert!(!relayed.is_empty());
    for cell in &relayed {
        assert_eq!(cell.client.addresses.to_string(), "10.0.5.5");
        assert!(matches!(cell.verdict, Verdict::Relayed { by: Grant::List, .. }));
        let place = config.book.place(cell.rule.unwrap());
        assert_eq!((place.key, place.line), ("virtual_server.gateway.relay.list[0]", Some(8)));
    }
    assert_eq!(
        relayed.iter().map(|cell| cell.witness().to_string()).next().unwrap(),
        "--server gateway --client 10.0.5.5 --rcpt somebody@elsewhere.example"
    );
    let neighbour = "10.0.5.6".parse().unwrap();
    let mut others = table.cells().filter(|cell| cell.client.addresses.contains(neighbour));
    assert!(others.any(|cell| cell.verdict == Verdict::Refused(Why::RelayDenied)));
}
