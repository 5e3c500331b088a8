//! Turns: what threads began side by side they hand on in order.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A value that is held by whoever's turn it is. Turns are numbered from 0.
pub(super) struct Turns<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    turn: u64,
    /// Nothing while somebody holds it.
    value: Option<T>,
    over: bool,
}

impl<T> Turns<T> {
    pub(super) fn new(value: T) -> Self {
        let state = State { turn: 0, value: Some(value), over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a turn that nobody has had yet. Returns nothing if it will not come.
    pub(super) fn wait_for(&self, turn: u64) -> Option<T> {
        let has_come = |state: &State<T>| state.turn == turn || state.over;
        let state = self.changed.wait_while(self.state(), |state| !has_come(state));
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.over { None } else { state.value.take() }
    }

    /// Gives the value to whoever is next.
    pub(super) fn pass(&self, value: T) {
        let mut state = self.state();
        state.turn += 1;
        state.value = Some(value);
        self.changed.notify_all();
    }

    /// When the guard is dropped, by a panic too, no turn comes any more.
    pub(super) fn end_with(&self) -> End<'_, T> {
        End(self)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        super::lock(&self.state)
    }
}

/// See [`Turns::end_with`].
pub(super) struct End<'t, T>(&'t Turns<T>);

impl<T> Drop for End<'_, T> {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn turns_come_in_order_whoever_waits_first() {
        let turns = Turns::new(Vec::new());
        let take = |turn| {
            let mut order = turns.wait_for(turn).expect("goes on");
            order.push(turn);
            turns.pass(order);
        };
        thread::scope(|scope| {
            for start in [2, 1, 0] {
                scope.spawn(move || (start..300).step_by(3).for_each(take));
            }
        });
        assert_eq!(turns.wait_for(300), Some((0..300).collect()));
    }

    #[test]
    fn nobody_waits_for_a_turn_behind_the_end() {
        let turns = Turns::new(());
        let panicked = thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.wait_for(1));
            let panics = scope.spawn(|| {
                let _end = turns.end_with();
                turns.wait_for(0).expect("first");
                std::panic::resume_unwind(Box::new("a panic of the test"));
            });
            assert_eq!(waiting.join().expect("no panic"), None);
            panics.join().is_err()
        });
        assert!(panicked);
    }
}
