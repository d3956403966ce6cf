//! Power cuts at moments that the walk does not come by.

use super::walk::goes_on;
use super::*;
use crate::disk::memory::Fault;

#[test]
fn a_power_cut_before_the_very_first_calls_leaves_a_spool_that_opens() {
    for at in 0..6 {
        for seed in 0..8 {
            let disk = MemoryDisk::new();
            disk.fail_at(at, Fault::PowerCut);
            let _ = Spool::open(disk.clone(), settings());
            let disk = disk.cut(seed);
            let mut bench = Bench::on(disk);
            goes_on(&mut bench);
        }
    }
}

#[test]
fn a_body_file_that_no_record_names_is_removed() {
    let mut bench = Bench::new();
    let id = bench.next_id();
    let _unnamed = bench.write_file(id, &[b'x'; 9000]).unwrap();
    let disk = bench.disk.cut(1);
    assert!(disk.content(&crate::body::file_name(id)).is_some());
    bench.reopen(disk);
    assert!(bench.disk.content(&crate::body::file_name(id)).is_none());
}

#[test]
fn identifiers_never_come_again() {
    let mut bench = Bench::new();
    for seed in 0..20 {
        for _ in 0..5 {
            bench.next_id();
        }
        let disk = bench.disk.cut(seed);
        bench.reopen(disk);
    }
}

#[test]
fn a_segment_that_was_removed_may_come_back_and_nothing_with_it() {
    for at in 0..50 {
        for seed in 0..3 {
            let mut bench = Bench::new();
            let ids: Vec<_> = (0..60).map(|_| bench.stage(6000).expect("room")).collect();
            assert!(bench.flush().is_none());
            ids.iter().for_each(|id| bench.finish(*id));
            assert!(bench.flush().is_none());
            bench.disk.fail_at(at, Fault::PowerCut);
            while !bench.disk.is_dead() {
                let _ = bench.settle();
                let taken: Vec<_> = (0..6).filter_map(|_| bench.stage(6000).ok()).collect();
                bench.flush();
                taken.into_iter().for_each(|id| bench.finish(id));
                bench.flush();
            }
            let disk = bench.disk.cut(seed * 77 + at);
            let recovery = bench.reopen(disk);
            assert!(recovery.damages.is_empty(), "call {at}: {:?}", recovery.damages);
        }
    }
}
