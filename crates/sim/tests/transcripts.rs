//! Plays every transcript of `tests/gateway`, each as a test of its name.
//!
//! A transcript is played twice, and both logs must agree byte for byte: whatever depended on
//! chance would make a failure that nobody can repeat.
#![expect(clippy::disallowed_methods, reason = "a test reads the files it is about")]

use config::templates::{Options, Template};
use sim::play::{Failure, play};
use sim::script::Script;
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/gateway")
}

/// The text of a settings file; `init ROLE` is what `bridgehead init` writes for an organization with a realm.
fn settings(file: &str) -> Result<String, String> {
    if let Some(role) = file.strip_prefix("init ") {
        let template: Template = role.parse().map_err(|error| format!("{role}: {error}"))?;
        let (domain, realm) = ("corp.example".parse().expect("a domain"), "CORP.EXAMPLE".parse().expect("a realm"));
        return Ok(template.text(&Options { hostname: None, domain, more_domains: Vec::new(), realm: Some(realm) }));
    }
    fs::read_to_string(directory().join(file)).map_err(|error| format!("tests/gateway/{file}: {error}"))
}

/// Plays one transcript; with `UPDATE_TRANSCRIPTS` set, what it expects is rewritten instead.
fn check(name: &str) {
    let path = directory().join(name).with_extension("smtp");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}.smtp: {error}"));
    let script = Script::parse(&text)
        .unwrap_or_else(|wrong| panic!("tests/gateway/{name}.smtp:{}: {}", wrong.line + 1, wrong.why));
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let played = play(&script, &settings, update);
    if update && !played.changes.is_empty() {
        fs::write(&path, script.rewritten(&played.changes)).expect("a test may write its own file");
    }
    if let Some(Failure { line, what }) = played.failure {
        let log = String::from_utf8_lossy(&played.log);
        panic!("tests/gateway/{name}.smtp:{}: {what}\nlog:\n{log}", line + 1);
    }
    let again = play(&script, &settings, false);
    assert!(again.log == played.log, "{name}: two runs differ");
}

macro_rules! transcripts {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    a01_by_default_everyone_may_connect,
    a02_all_except_refuses_the_listed,
    a03_all_except_admits_the_others,
    a04_only_admits_the_listed,
    a05_only_refuses_the_others,
    a06_a_peer_that_is_not_listed_cannot_even_authenticate,
    a07_added_to_the_list_a_peer_may_come_and_authenticate,
    a08_only_nobody_refuses_everyone,
    a09_saying_the_default_changes_nothing,
    a10_a_network_on_the_list,
    a11_a_domain_on_the_list,
    a12_a_session_keeps_the_law_it_began_with,
    a_busy_mailbox_is_tried_again,
    a_client_that_never_reads_is_let_go,
    a_clock_set_back_delays_nothing,
    a_clock_set_forward_expires_nothing,
    a_command_has_a_minute_however_its_octets_are_spread,
    a_deferral_survives_a_restart,
    a_descriptor_that_is_missing_here_is_nobodys_fault,
    a_directory_that_does_not_answer_accepts_nobody,
    a_handshake_has_a_minute,
    a_held_message_waits,
    a_hop_that_babbles,
    a_hop_that_takes_content_in_sips,
    a_hop_that_trickles_its_greeting,
    a_hop_that_trickles_its_reply,
    a_host_that_hangs_up,
    a_host_that_stops_talking,
    a_host_without_extensions,
    a_machine_with_a_ticket_is_a_peer,
    a_missing_drop_directory,
    a_panic_ends_its_attempt,
    a_panic_ends_its_session,
    a_peer_speaks_for_a_client,
    a_peer_speaks_for_accounts_with_their_groups,
    a_peer_speaks_for_an_account,
    a_person_with_a_ticket_is_an_account,
    a_principal_without_an_account_is_nobody,
    a_refusal_has_a_name,
    a_reload_moves_doors_and_mail,
    a_report_that_cannot_be_delivered,
    a_session_has_half_an_hour,
    alias_domains_are_rewritten,
    an_exception_ends_by_the_clock,
    b01_the_listed_need_not_authenticate,
    b02_everyone_may_connect,
    b03_the_unlisted_may_say_ehlo,
    b04_the_unlisted_must_authenticate,
    b05_who_authenticates_may_submit,
    b06_a_peer_sends_to_everybody,
    b07_a_wrong_password_changes_nothing,
    b07_an_unknown_account_hears_the_same,
    b08_mail_before_auth_ends_the_connection,
    b09_the_listed_may_fail_to_authenticate,
    b12_tls_is_no_authentication,
    b13_pipelining_does_not_get_past_it,
    b14_only_mail_is_judged,
    b15_nobody_on_the_list_but_accounts,
    b15_only_nobody_makes_everyone_authenticate,
    b16_anonymous_access_is_asked_too,
    b17_all_except_is_judged_at_mail,
    b17_the_excepted_authenticates,
    b18_each_virtual_server_has_its_own_rules,
    b19_helo_does_not_get_past_it,
    b20_a_mapped_address_is_its_ipv4_form,
    b21_the_refusal_is_counted,
    bounds_devices_have_limits_that_are_given_to_them,
    bounds_many_names_behind_one_address,
    bounds_what_next_hops_refuse_beside_recipients,
    bounds_who_names_nobody_is_suspended,
    c01_being_listed_is_no_permission_to_relay,
    c02_who_may_not_submit_hears_so_at_mail,
    c03_who_authenticates_may_relay,
    c04_the_relay_list_lets_a_listed_client_relay,
    c05_being_listed_saves_nobody_from_the_filter,
    c09_mail_of_nobody_from_inside_is_marked,
    c09_who_has_authenticated_is_not_anonymous,
    c10_who_has_authenticated_is_not_filtered,
    chunks_must_come_at_the_least_rate,
    content_must_come_at_the_least_rate,
    d01_nothing_is_offered_to_the_outside,
    d02_no_password_can_be_tried,
    d03_outside_may_submit,
    d04_outside_may_not_relay,
    d05_a_stolen_password_is_of_no_use_outside,
    d06_a_peer_sends_by_the_connector_of_its_virtual_server,
    d08_inside_must_authenticate,
    d09_who_fails_to_authenticate_is_nobody,
    d11_only_the_perimeter_may_connect,
    d12_nobody_outside_is_the_management,
    d13_the_management_sends_outside,
    d15_each_direction_has_its_numbers,
    d16_two_at_one_address,
    d17_the_source_may_be_said,
    d17_the_system_chooses_the_source,
    d20_one_stops_and_the_other_goes_on,
    d22_no_client_is_a_proxy,
    d22_no_client_tells_us_who_it_is,
    door_the_unlisted_have_few_commands,
    door_the_unlisted_have_half_a_minute,
    e01_roaming_people_must_authenticate,
    e02_roaming_people_relay,
    e05_the_bogus_domain_is_local,
    e06_brackets_need_no_names,
    e07_an_address_is_an_address,
    e08_a_named_smart_host_is_looked_up,
    e10_mail_to_ourselves_is_a_loop,
    e11_without_relay_for_all_the_rights_decide,
    e13_everywhere_and_somewhere,
    f01_mail_for_the_domain_is_forwarded,
    f02_mail_for_others_is_refused,
    f03_each_recipient_is_judged_alone,
    f04_names_below_the_domain_are_others,
    f05_a_wildcard_covers_names_below,
    f06_a_route_is_no_permission,
    f07_a_host_that_is_down,
    f08_relay_tests,
    f09_the_sender_gives_no_right,
    f10_the_null_sender,
    f11_one_domain_however_written,
    f12_no_auth_is_offered,
    f13_the_host_refuses_the_recipient,
    few_for_a_network_and_for_all,
    g02_outside_may_not_relay_through_the_host_inside,
    g03_outside_may_submit_to_the_host_inside,
    g04_a_desktop_must_use_the_gateway,
    g08_the_first_host_is_busy,
    g08_the_first_host_is_down,
    g08_the_first_host_is_silent,
    g09_the_remote_domain_wins,
    g10_tls_required_and_another_name,
    g10_tls_required_and_not_offered,
    g10_tls_required_and_there,
    gate_a_file_of_invariants_with_a_mistake,
    gate_stops_an_account_that_is_denied,
    gate_stops_mail_of_nobody,
    gate_stops_what_the_rules_let_through,
    gate_stops_who_hands_a_session_on,
    gate_stops_who_has_shown_a_password,
    guessing_where_nothing_is_offered_is_guessing,
    h01_the_gateway_and_the_internet,
    h02_the_gateway_and_a_device_on_the_list,
    h03_credentials_open_nothing,
    h04_malware_with_the_credentials_of_a_person,
    h05_a_server_at_the_wrong_place_is_nobody,
    h05_a_server_of_the_organization_is_no_account,
    h06_a_mechanism_that_is_not_offered_is_not_accepted,
    h08_a_mailbox_server_and_the_anonymous,
    h09_a_mailbox_server_and_an_account,
    h10_a_mailbox_server_and_a_server_of_the_organization,
    h11_without_a_mechanism_servers_cannot_talk,
    h13_a_front_end_that_needs_no_smtp,
    h14_a_front_end_without_integrated_authentication,
    h15_a_front_end_that_needs_smtp,
    h17_the_only_server,
    h20_everything_on_as_it_used_to_be,
    i01_remote_workers_of_a_group,
    i04_an_application_to_a_mailbox,
    i06_an_application_that_authenticates,
    i07_a_listed_device_relays,
    i09_the_connection_comes_first,
    i10_the_relay_list_is_no_authentication,
    i11_to_submit_is_not_to_relay,
    i13_relay_for_all_is_no_right_to_submit,
    i14_authenticated_regardless_of_the_list,
    i15_an_open_relay_must_be_meant,
    i15_an_open_relay_that_is_meant,
    i16_nobody_relays_but_servers,
    i17_rights_hold_beside_anonymous_access,
    i18_everybody_sends_as_themselves,
    i18_what_is_only_marked,
    k17_directories_know_the_recipients,
    k17_only_known_recipients,
    l01_the_size_is_offered,
    l02_a_declared_size,
    l03_a_real_size,
    l04_the_session_has_a_size,
    l05_too_many_recipients,
    l06_messages_on_a_connection,
    l07_connections_at_a_time,
    l08_silence_ends_the_session,
    l09_mail_that_goes_in_circles,
    l10_one_domain_is_shown_outside,
    l12_too_many_connections,
    l14_tls_first,
    l15_words_behind_starttls,
    l16_mended_line_ends,
    l16_smuggled_ends_of_data,
    l17_chunks_and_binary,
    l18_verify_tells_nothing,
    l21_server_to_server_commands,
    many_recipients_one_delivery_each,
    n03_retry_now,
    n04_a_frozen_destination,
    n05_deleted_with_a_report,
    n05_deleted_without_a_report,
    octets_earn_time_for_more,
    one_password_on_many_accounts_is_refused,
    row28_a_proxy_that_says_nothing,
    row28_before_tls,
    row28_limits_count_the_client,
    row28_the_client_is_who_the_proxy_says,
    row28_the_second_version,
    rt1_from_outside_to_outside,
    rt2_from_a_bare_name,
    rt3_from_nobody,
    rt4_from_a_local_sender,
    rt5_from_this_host,
    rt6_a_percent_sign,
    rt7_a_quoted_address,
    s3_a_stolen_account_is_held_and_then_suspended,
    s3_five_thousand_strangers,
    s3_strangers_whom_next_hops_refuse,
    stop_lets_a_transaction_end,
    stop_says_goodbye,
    success_is_reported_when_asked_for,
    ten_wrong_passwords_end_the_session,
    the_queue_survives_a_restart,
    tls_first,
    tls_first_after_a_reload,
    tls_first_and_no_tls,
    tls_first_and_one_too_many,
    tls_first_has_a_minute,
    tls_is_used_when_offered,
    tls_that_cannot_be_begun,
    what_was_asked_goes_on,
    where_a_message_came_from_is_for_the_log,
    who_has_forgotten_a_password_is_not_locked_out,
}

#[test]
fn every_transcript_is_a_test() {
    let mut files: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "smtp"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, NAMES, "the list in this file and the files in tests/gateway differ");
}

/// What is wrong with a good transcript in which one text is replaced by another.
fn failure_of(name: &str, text: &str, instead: &str) -> Failure {
    let good = fs::read_to_string(directory().join(name).with_extension("smtp")).expect("the transcript is there");
    assert!(good.contains(text), "{name} has changed");
    let script = Script::parse(&good.replacen(text, instead, 1)).expect("still a transcript");
    play(&script, &settings, false).failure.expect("a transcript that is wrong must fail")
}

#[test]
fn what_is_wrong_is_found_and_named() {
    let story = "a01_by_default_everyone_may_connect";
    for (text, instead, line, why) in [
        ("S: 354 ...", "S: 355 ...", 15, "+ 354"),
        ("S: 354 ...\n", "", 19, "+ 354"),
        ("   | Hello.", "   | Goodbye.", 21, "- | Goodbye."),
        ("Q: empty", "Q: <id> ...", 26, "+ empty"),
        ("S: 221 2.0.0 ...\nEOF\n", "", 27, "a reply that nobody expected"),
    ] {
        let failure = failure_of(story, text, instead);
        assert_eq!(failure.line + 1, line, "{}", failure.what);
        assert!(failure.what.contains(why), "{}", failure.what);
    }
}

#[test]
fn a_delivery_that_nobody_expected_is_found() {
    let failure = failure_of("c04_the_relay_list_lets_a_listed_client_relay", "D: 198.51.100.25:25 from", "# D:");
    assert!(
        failure.what.contains("delivered, and not expected:\n198.51.100.25:25 from <x@ext.example>"),
        "{}",
        failure.what
    );
}
