//! Random histories against the model.

use super::*;
use crate::disk::memory::Fault;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Stage(usize),
    Attempt(usize, usize, bool),
    Hold(usize, bool),
    Finish(usize),
    Flush,
    Maintain,
    Restart,
    Cut(u64),
    CutLater(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![4 => 0..6000_usize, 1 => 8200..20_000_usize].prop_map(Step::Stage),
        4 => (any::<usize>(), 0..3_usize, any::<bool>()).prop_map(|(at, to, done)| Step::Attempt(at, to, done)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, held)| Step::Hold(at, held)),
        5 => any::<usize>().prop_map(Step::Finish),
        6 => Just(Step::Flush),
        3 => Just(Step::Maintain),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::Cut),
        1 => (0..12_u64, any::<u64>()).prop_map(|(after, seed)| Step::CutLater(after, seed)),
    ]
}

fn perform(bench: &mut Bench, step: &Step, planned: &mut Option<u64>) {
    let promised = bench.ids_in(Standing::Promised);
    let pick = |at: usize| promised.get(at % promised.len().max(1)).copied();
    match *step {
        Step::Stage(size) => drop(bench.stage(size)),
        Step::Attempt(at, to, done) => {
            if let Some(id) = pick(at).filter(|id| bench.expected[id].facts.iter().filter(|f| !f.1).count() < 6) {
                bench.attempt(id, to, if done { Ending::Delivered } else { Ending::Deferred });
            }
        }
        Step::Hold(at, held) => {
            if let Some(id) = pick(at).filter(|id| bench.expected[id].facts.iter().filter(|f| !f.1).count() < 6) {
                bench.say(id, if held { Fact::Held } else { Fact::Released });
            }
        }
        Step::Finish(at) => pick(at).into_iter().for_each(|id| bench.finish(id)),
        Step::Flush => drop(bench.flush()),
        Step::Maintain => drop(bench.spool.maintain()),
        Step::Restart => restart(bench, bench.disk.clone()),
        Step::Cut(seed) => restart(bench, bench.disk.cut(seed)),
        Step::CutLater(after, seed) => {
            bench.disk.fail_at(after, Fault::PowerCut);
            *planned = Some(seed);
        }
    }
    if let Some(seed) = planned.take_if(|_| bench.disk.is_dead()) {
        restart(bench, bench.disk.cut(seed));
    }
}

fn restart(bench: &mut Bench, disk: MemoryDisk) {
    disk.heal();
    let recovery = bench.reopen(disk);
    assert!(recovery.damages.is_empty(), "{:?}", recovery.damages);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]
    #[test]
    fn any_history_keeps_every_promise(steps in proptest::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        let mut planned = None;
        for step in &steps {
            perform(&mut bench, step, &mut planned);
        }
        bench.disk.heal();
        let disk = bench.disk.cut(9);
        restart(&mut bench, disk);
        bench.settle().expect("housekeeping");
        bench.read_all();
    }
}
