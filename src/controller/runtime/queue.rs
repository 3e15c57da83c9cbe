//! The queue of resources that wait for a reconcile. It serves namespaces in turn, so ten thousand changes in one
//! namespace delay another namespace by one or two roles only. Pure, except for the wake-up: the clock is an argument.
//!
//! kube's own queue is first come, first served and does not distinguish namespaces.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

use tokio::sync::Notify;

use super::super::index::Key;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// The most resources of one namespace that are reconciled concurrently.
    share: usize,
    /// The number of running reconciles in each namespace.
    running: HashMap<Arc<str>, usize>,
    /// The waiting resources, by namespace.
    waiting: HashMap<Arc<str>, VecDeque<Key>>,
    /// Namespaces with a waiting resource and free capacity, the next one first.
    turns: VecDeque<Arc<str>>,
    phases: HashMap<Key, Phase>,
    number: usize,
    /// The resources that wait for a time.
    later: BTreeSet<(Instant, Key)>,
    due: HashMap<Key, Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Waiting,
    Running,
    /// It was requested again while it ran.
    RunningAgain(Position),
}

/// The position at which a resource joins the queue of its namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Position {
    /// Before all others: a started resource is finished first.
    First,
    /// After all others.
    Last,
}

impl Queue {
    /// A queue that reconciles at most `share` resources of one namespace concurrently. Slow writes to Kubernetes in
    /// one namespace must not occupy all slots.
    pub(crate) fn new(share: usize) -> Self {
        Self { state: Mutex::new(State::new(share)), changed: Notify::new() }
    }

    /// Schedules the resource for its next turn. A resource that is being reconciled is reconciled once more.
    pub(crate) fn add(&self, key: Key, position: Position) {
        self.lock().add(key, position);
        self.changed.notify_one();
    }

    /// Schedules the resource for `when`, unless it is reconciled earlier.
    pub(crate) fn add_at(&self, key: Key, when: Instant) {
        self.lock().add_at(key, when);
        self.changed.notify_one();
    }

    /// Removes a deleted resource.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().forget(key);
    }

    /// The next resource to reconcile. It counts as running until [`Queue::done`].
    pub(crate) fn take(&self, now: Instant) -> Option<Key> {
        self.lock().take(now)
    }

    /// Ends the reconcile of the resource.
    pub(crate) fn done(&self, key: &Key) {
        self.lock().done(key);
        self.changed.notify_one();
    }

    /// The number of waiting resources.
    pub(crate) fn depth(&self) -> usize {
        self.lock().number
    }

    /// Returns when a resource can be taken. For one caller.
    pub(crate) async fn filled(&self) {
        loop {
            let changed = self.changed.notified();
            let next = {
                let mut state = self.lock();
                state.bring_due(Instant::now());
                if !state.turns.is_empty() {
                    return;
                }
                state.later.first().map(|(when, _)| *when)
            };
            match next {
                Some(when) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(when) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(share: usize) -> Self {
        Self {
            share: share.max(1),
            running: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            phases: HashMap::new(),
            number: 0,
            later: BTreeSet::new(),
            due: HashMap::new(),
        }
    }

    /// Whether the namespace has capacity for one more reconcile.
    fn has_room(&self, namespace: &Arc<str>) -> bool {
        self.running.get(namespace).is_none_or(|running| *running < self.share)
    }

    fn add(&mut self, key: Key, position: Position) {
        self.cancel(&key);
        match self.phases.get(&key) {
            None => {
                let namespace = Arc::clone(&key.namespace);
                let has_room = self.has_room(&namespace);
                let waiting = self.waiting.entry(Arc::clone(&namespace)).or_default();
                if waiting.is_empty() && has_room {
                    self.turns.push_back(namespace);
                }
                match position {
                    Position::First => waiting.push_front(key.clone()),
                    Position::Last => waiting.push_back(key.clone()),
                }
                self.number += 1;
                self.phases.insert(key, Phase::Waiting);
            }
            Some(Phase::Waiting | Phase::RunningAgain(_)) => {}
            Some(Phase::Running) => {
                self.phases.insert(key, Phase::RunningAgain(position));
            }
        }
    }

    fn add_at(&mut self, key: Key, when: Instant) {
        let is_earlier = self.due.get(&key).is_none_or(|due| when < *due);
        let is_asked =
            matches!(self.phases.get(&key), Some(Phase::Waiting | Phase::RunningAgain(_)));
        if is_earlier && !is_asked {
            self.cancel(&key);
            self.due.insert(key.clone(), when);
            self.later.insert((when, key));
        }
    }

    fn cancel(&mut self, key: &Key) {
        if let Some((key, due)) = self.due.remove_entry(key) {
            self.later.remove(&(due, key));
        }
    }

    fn bring_due(&mut self, now: Instant) {
        while let Some((when, key)) = self.later.first().cloned()
            && when <= now
        {
            // Also removes it from the list.
            self.add(key, Position::Last);
        }
    }

    fn take(&mut self, now: Instant) -> Option<Key> {
        self.bring_due(now);
        while let Some(namespace) = self.turns.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&namespace) else { continue };
            let phases = &self.phases;
            let next = std::iter::from_fn(|| waiting.pop_front())
                .find(|key| phases.get(key) == Some(&Phase::Waiting));
            if waiting.is_empty() {
                self.waiting.remove(&namespace);
            }
            let Some(key) = next else { continue };
            self.number -= 1;
            self.phases.insert(key.clone(), Phase::Running);
            *self.running.entry(Arc::clone(&namespace)).or_default() += 1;
            // A namespace at its limit gets another turn when one of its reconciles ends.
            if self.waiting.contains_key(&namespace) && self.has_room(&namespace) {
                self.turns.push_back(namespace);
            }
            return Some(key);
        }
        None
    }

    fn done(&mut self, key: &Key) {
        let namespace = &key.namespace;
        let had_room = self.has_room(namespace);
        if let Some(running) = self.running.get_mut(namespace) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(namespace);
            }
        }
        if !had_room && self.waiting.contains_key(namespace) {
            self.turns.push_back(Arc::clone(namespace));
        }
        if let Some(Phase::RunningAgain(position)) = self.phases.remove(key) {
            self.add(key.clone(), position);
        }
    }

    fn forget(&mut self, key: &Key) {
        self.cancel(key);
        match self.phases.get_mut(key) {
            None | Some(Phase::Running) => {}
            Some(phase @ Phase::RunningAgain(_)) => *phase = Phase::Running,
            // It is skipped at its turn: finding it would take time that grows with the queue.
            Some(Phase::Waiting) => {
                self.phases.remove(key);
                self.number -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn key(namespace: &str, number: usize) -> Key {
        Key { kind: "K", namespace: namespace.into(), name: number.to_string().into() }
    }

    #[test]
    fn a_namespace_with_ten_thousand_changes_delays_another_by_one() {
        let (mut state, now) = (State::new(3), Instant::now());
        for number in 0..10_000 {
            state.add(key("loud", number), Position::Last);
        }
        state.add(key("quiet", 1), Position::Last);
        let order: Vec<_> = (0..3).filter_map(|_| state.take(now)).collect();
        assert_eq!(order, [key("loud", 0), key("quiet", 1), key("loud", 1)]);
    }

    #[test]
    fn a_namespace_gets_at_most_its_share_of_the_workers() {
        let (mut state, now) = (State::new(2), Instant::now());
        for number in 0..5 {
            state.add(key("loud", number), Position::Last);
        }
        let taken: Vec<_> = std::iter::from_fn(|| state.take(now)).collect();
        assert_eq!(taken, [key("loud", 0), key("loud", 1)]);
        state.add(key("quiet", 1), Position::Last);
        assert_eq!(state.take(now), Some(key("quiet", 1)));
        state.done(&key("loud", 1));
        assert_eq!(state.take(now), Some(key("loud", 2)));
        assert_eq!(state.take(now), None);
    }

    #[test]
    fn started_work_finishes_before_new_work_starts() {
        let (mut state, now) = (State::new(3), Instant::now());
        for number in 0..3 {
            state.add(key("a", number), Position::Last);
        }
        assert_eq!(state.take(now), Some(key("a", 0)));
        state.add(key("a", 0), Position::First);
        assert_eq!(state.take(now), Some(key("a", 1)), "never twice concurrently");
        state.done(&key("a", 0));
        assert_eq!(state.take(now), Some(key("a", 0)));
        state.done(&key("a", 1));
        state.add(key("a", 1), Position::First);
        let order: Vec<_> = std::iter::from_fn(|| state.take(now)).collect();
        assert_eq!(order, [key("a", 1), key("a", 2)]);
    }

    #[test]
    fn a_request_during_a_run_causes_one_more_run_and_no_overlap() {
        let (mut state, now) = (State::new(3), Instant::now());
        state.add(key("a", 1), Position::Last);
        assert_eq!(state.take(now), Some(key("a", 1)));
        state.add(key("a", 1), Position::Last);
        state.add(key("a", 1), Position::Last);
        assert_eq!(state.take(now), None);
        state.done(&key("a", 1));
        assert_eq!(state.take(now), Some(key("a", 1)));
        state.done(&key("a", 1));
        assert_eq!(state.take(now), None);
    }

    #[test]
    fn a_delayed_key_runs_once_at_the_earliest_time() {
        let (mut state, now) = (State::new(3), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        state.add_at(key("a", 1), at(10));
        state.add_at(key("a", 1), at(5));
        state.add_at(key("a", 1), at(20));
        assert_eq!(state.take(at(4)), None);
        assert_eq!(state.take(at(5)), Some(key("a", 1)));
        state.done(&key("a", 1));
        assert_eq!(state.take(at(30)), None, "once");
        state.add_at(key("a", 1), at(40));
        state.add(key("a", 1), Position::Last);
        assert_eq!(state.take(at(30)), Some(key("a", 1)), "earlier");
        state.done(&key("a", 1));
        assert_eq!(state.take(at(50)), None, "and not again");
        state.add_at(key("a", 1), at(60));
        state.forget(&key("a", 1));
        assert_eq!(state.take(at(70)), None, "it is gone");
    }

    proptest! {
        /// For any sequence of operations: a resource that was added is taken, none runs twice concurrently, and
        /// between two turns of a namespace every other waiting namespace gets one.
        #[test]
        fn every_resource_gets_its_turn(steps in proptest::collection::vec((0..5_u8, 0..4_usize, 0..4_usize), 0..200)) {
            let (mut state, now) = (State::new(3), Instant::now());
            let (mut running, mut wanted) = (Vec::<Key>::new(), HashSet::<Key>::new());
            for (step, namespace, number) in steps {
                let it = key(&namespace.to_string(), number);
                match step {
                    0 | 1 => {
                        let position = if step == 0 { Position::First } else { Position::Last };
                        wanted.insert(it.clone());
                        state.add(it, position);
                    }
                    2 => {
                        if let Some(taken) = state.take(now) {
                            prop_assert!(!running.contains(&taken), "{taken} runs already");
                            prop_assert!(wanted.remove(&taken), "{taken} was not asked for");
                            running.push(taken);
                        }
                    }
                    3 => {
                        if let Some(done) = running.pop() {
                            state.done(&done);
                        }
                    }
                    _ => {
                        wanted.remove(&it);
                        state.forget(&it);
                    }
                }
                let waiting = state.phases.values().filter(|phase| **phase == Phase::Waiting).count();
                prop_assert_eq!(state.number, waiting);
                let turns: HashSet<_> = state.turns.iter().collect();
                prop_assert_eq!(turns.len(), state.turns.len(), "one turn a namespace");
                for (namespace, waiting) in &state.waiting {
                    let may_be_taken = !waiting.is_empty() && state.has_room(namespace);
                    prop_assert_eq!(turns.contains(namespace), may_be_taken);
                }
            }
            for done in running {
                state.done(&done);
            }
            while let Some(taken) = state.take(now) {
                prop_assert!(wanted.remove(&taken), "{taken} was not asked for");
                state.done(&taken);
            }
            prop_assert!(wanted.is_empty(), "never taken: {wanted:?}");
        }
    }
}
