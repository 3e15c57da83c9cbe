//! The actions of users and administrators and the failures, in order. Pure: only the seed determines it. A seed
//! repeats it regardless of the speed of the machine and the controller's behavior.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::slots::{Kind, SLOTS, kind, role_name};

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// A resource is applied: created, edited, or edited back.
    Apply {
        what: &'static str,
        slot: usize,
        spec: Value,
    },
    Delete(usize),
    Pause(usize, bool),
    /// A reconcile is requested.
    Ask(usize, u32),
    /// The role is changed, or deleted, in IAM.
    Tamper(usize, Tampering),
    CutWatch,
    KillController,
    RestartApiServer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tampering {
    Trust,
    Permissions,
    PermissionsRemoved,
    RoleRemoved,
    PolicyAdded,
    PolicyRemoved,
    Tag,
}

/// Something that is reverted soon after: an edit, or, without a spec, a creation.
struct Regret {
    due: u64,
    slot: usize,
    done: Value,
    back_to: Option<Value>,
}

/// The steps with a failure.
struct Failures {
    cut: u64,
    kill: u64,
    restart: u64,
}

pub(crate) struct Script {
    operations: Rng,
    /// The times of failures, and the pace. Separate, so that neither changes the operations.
    schedule: Rng,
    step: u64,
    /// The specs of the resources that are declared.
    specs: BTreeMap<usize, Value>,
    paused: BTreeSet<usize>,
    regrets: Vec<Regret>,
    next: Failures,
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            operations: Rng::with_seed(seed),
            schedule: Rng::with_seed(!seed),
            step: 0,
            specs: BTreeMap::new(),
            paused: BTreeSet::new(),
            regrets: Vec::new(),
            // Each occurs in the first 300 steps, so also in a short campaign.
            next: Failures { cut: 80, kill: 160, restart: 280 },
        }
    }

    /// A spec for every slot.
    pub(crate) fn fill(&mut self) -> Vec<(usize, Value)> {
        for slot in 0..SLOTS {
            let spec = self.spec(slot);
            self.specs.insert(slot, spec);
        }
        self.specs.clone().into_iter().collect()
    }

    /// The next operations, and the pause before them.
    pub(crate) fn step(&mut self) -> (Duration, Vec<Operation>) {
        self.step += 1;
        let mut all = self.failures();
        self.take_back(&mut all);
        let slot = self.operations.usize(..SLOTS);
        if self.operations.u8(..100) < 60 {
            self.use_kubernetes(slot, &mut all);
        } else {
            all.extend(self.use_iam(slot));
        }
        (Duration::from_millis(self.schedule.u64(5..40)), all)
    }

    /// Resumes what is paused.
    pub(crate) fn resume_all(&mut self) -> Vec<Operation> {
        let paused = std::mem::take(&mut self.paused);
        paused.into_iter().map(|slot| Operation::Pause(slot, false)).collect()
    }

    /// The slots that have a resource.
    pub(crate) fn taken(&self) -> impl Iterator<Item = usize> {
        self.specs.keys().copied()
    }

    fn failures(&mut self) -> Vec<Operation> {
        let Self { schedule, step, next, .. } = self;
        let mut due = |at: &mut u64, pause: std::ops::Range<u64>, operation: Operation| {
            (*step >= *at).then(|| {
                *at = *step + schedule.u64(pause);
                operation
            })
        };
        let failures = [
            due(&mut next.cut, 60..180, Operation::CutWatch),
            due(&mut next.kill, 150..600, Operation::KillController),
            due(&mut next.restart, 600..1800, Operation::RestartApiServer),
        ];
        failures.into_iter().flatten().collect()
    }

    fn take_back(&mut self, all: &mut Vec<Operation>) {
        while let Some(number) = self.regrets.iter().position(|regret| regret.due <= self.step) {
            let Regret { slot, done, back_to, .. } = self.regrets.swap_remove(number);
            match back_to {
                _ if self.specs.get(&slot) != Some(&done) => {}
                Some(spec) => all.push(self.apply("edited back", slot, spec)),
                None => self.delete(slot, all),
            }
        }
    }

    fn use_kubernetes(&mut self, slot: usize, all: &mut Vec<Operation>) {
        let spec = self.spec(slot);
        let Some(before) = self.specs.get(&slot).cloned() else {
            all.push(self.apply("created", slot, spec.clone()));
            if kind(slot) == Kind::Plain && self.operations.u8(..4) == 0 {
                self.regret(slot, spec, None);
            }
            return;
        };
        match self.operations.u8(..100) {
            0..40 => all.push(self.apply("edited", slot, spec)),
            40..70 => {
                all.push(self.apply("edited", slot, spec.clone()));
                self.regret(slot, spec, Some(before));
            }
            70..84 if kind(slot) == Kind::Plain => self.delete(slot, all),
            70..84 => {}
            84..92 => {
                let pauses = !self.paused.remove(&slot);
                if pauses {
                    self.paused.insert(slot);
                }
                all.push(Operation::Pause(slot, pauses));
            }
            _ => all.push(Operation::Ask(slot, self.operations.u32(..))),
        }
    }

    fn use_iam(&mut self, slot: usize) -> Option<Operation> {
        let tampering = match self.operations.u8(..100) {
            0..22 => Tampering::Trust,
            22..44 => Tampering::Permissions,
            44..56 => Tampering::PermissionsRemoved,
            56..64 if kind(slot) == Kind::Plain => Tampering::RoleRemoved,
            56..76 => Tampering::PolicyAdded,
            76..90 => Tampering::PolicyRemoved,
            _ => Tampering::Tag,
        };
        let is_ours = !matches!(kind(slot), Kind::Foreign | Kind::Elsewhere);
        is_ours.then_some(Operation::Tamper(slot, tampering))
    }

    fn apply(&mut self, what: &'static str, slot: usize, spec: Value) -> Operation {
        self.specs.insert(slot, spec.clone());
        Operation::Apply { what, slot, spec }
    }

    fn delete(&mut self, slot: usize, all: &mut Vec<Operation>) {
        self.specs.remove(&slot);
        all.push(Operation::Delete(slot));
        // A deleted resource that is paused waits for the test.
        if self.paused.remove(&slot) {
            all.push(Operation::Pause(slot, false));
        }
    }

    /// Soon enough for IAM still to show the earlier state, late enough for the controller to have acted.
    fn regret(&mut self, slot: usize, done: Value, back_to: Option<Value>) {
        let due = self.step + self.operations.u64(3..60);
        self.regrets.push(Regret { due, slot, done, back_to });
    }

    fn spec(&mut self, slot: usize) -> Value {
        let random = &mut self.operations;
        let stream = random.u8(..4);
        let destination = if random.bool() {
            json!({"kinesisStreamArn": format!("arn:aws:kinesis:us-east-1:111122223333:stream/s{stream}")})
        } else {
            json!({"firehoseDeliveryStreamArn": format!("arn:aws:firehose:us-east-1:111122223333:deliverystream/f{stream}")})
        };
        let mut spec = json!({"roleName": role_name(slot), "destination": destination});
        let mut set = |field: &str, value: Value| spec[field] = value;
        match random.u8(..3) {
            0 => {}
            1 => set("source", json!({"accountId": "111122223333", "region": "us-east-1"})),
            _ => set("source", json!({"accountId": "111122223333", "region": "eu-west-1"})),
        }
        if random.bool() {
            set("tags", json!({"team": (["sales", "marketing"])[random.usize(..2)]}));
        }
        if random.u8(..4) == 0 {
            let boundary = ["x", "y"][random.usize(..2)];
            let arn = format!("arn:aws:iam::111122223333:policy/{boundary}");
            set("permissionsBoundaryArn", json!(arn));
        }
        if random.u8(..4) == 0 {
            set("description", json!(format!("number {}", random.u8(..9))));
        }
        if slot.is_multiple_of(7) {
            set("exclusivePolicies", json!(true));
        }
        match kind(slot) {
            Kind::Adopted => set("adoptionPolicy", json!("Adopt")),
            Kind::Retained => set("deletionPolicy", json!("Retain")),
            Kind::Foreign
            | Kind::Elsewhere
            | Kind::FirstOfTwo
            | Kind::SecondOfTwo
            | Kind::Plain => {}
        }
        spec
    }
}

#[test]
fn a_seed_repeats_the_campaign() {
    let first = |seed| {
        let mut script = Script::new(seed);
        let filled = script.fill();
        let steps: Vec<_> = (0..3000).map(|_| script.step()).collect();
        (filled, steps)
    };
    assert_eq!(first(7), first(7));
    assert_ne!(first(7).1, first(8).1);

    // Every kind of operation is in the shortest campaign, for each seed.
    for seed in 0..50 {
        let mut script = Script::new(seed);
        script.fill();
        let mut seen = BTreeSet::new();
        for _ in 0..crate::STEPS {
            seen.extend(script.step().1.iter().map(crate::generator::label));
        }
        let expected = 16;
        assert_eq!(seen.len(), expected, "seed {seed}: {seen:?}");
    }
}
