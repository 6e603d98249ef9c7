//! The places of a worker, and the ready count that follows from them.

/// The highest ready count that NSQ's default configuration accepts.
const HIGHEST_READY: u32 = 2_500;

/// How many attempts may be executed at once, and which of these places are taken.
///
/// A place is taken on receipt of a message, so that no more is asked for than can be executed.
#[derive(Debug)]
pub(crate) struct Places {
    total: u32,
    asked: u32,
    executing: u32,
    /// The ready count that every connection was told last.
    said: u32,
    open: bool,
}

impl Places {
    /// All places free; the connections were told 0, as they are before anything else.
    pub(crate) fn new(total: u32) -> Self {
        Self { total, asked: 0, executing: 0, said: 0, open: true }
    }

    /// Takes a place for a message; `false` when none is to be had.
    pub(crate) fn take(&mut self) -> bool {
        let free = self.free() > 0;
        self.asked += u32::from(free);
        free
    }

    /// The attempt that a place was taken for has begun.
    pub(crate) fn start(&mut self) {
        self.asked -= 1;
        self.executing += 1;
    }

    /// The attempt that a place was taken for was not granted.
    pub(crate) fn give_back(&mut self) {
        self.asked -= 1;
    }

    /// An attempt has ended.
    pub(crate) fn end(&mut self) {
        self.executing -= 1;
    }

    /// While closed no place is free, whatever ends.
    pub(crate) fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Places that a message can take.
    pub(crate) fn free(&self) -> u32 {
        if self.open { self.total - self.asked - self.executing } else { 0 }
    }

    /// What to tell every one of `connections` connections now; `None` when what they were told will do. It must
    /// go out before any FIN or REQ that makes room on a connection.
    ///
    /// A ready count limits what is in flight on one connection, and messages are in flight only until their
    /// attempt is granted. So it is this worker's places without those that execute, shared out; and at least 1 at
    /// every node while a place is free, or else runs would wait at that node. Only 0 and what would let too much
    /// in are said at once: a lower count than possible costs nothing but depth.
    pub(crate) fn ready(&mut self, connections: usize) -> Option<u32> {
        let want = self.wanted(connections);
        let said = self.said;
        let say = if want == 0 || said == 0 {
            want != said
        } else if want < said {
            said - want > want / 4
        } else {
            want >= said.saturating_mul(2) || (want > said && self.asked + self.executing == 0)
        };
        if say {
            self.said = want;
        }
        say.then_some(want)
    }

    fn wanted(&self, connections: usize) -> u32 {
        if self.free() == 0 {
            return 0;
        }
        let connections = u32::try_from(connections).unwrap_or(u32::MAX).max(1);
        ((self.total - self.executing) / connections).clamp(1, HIGHEST_READY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn busy(total: u32, asked: u32, executing: u32) -> Places {
        Places { asked, executing, ..Places::new(total) }
    }

    #[track_caller]
    fn check(places: Places, connections: usize, said: u32, expect: Option<u32>) {
        let mut places = Places { said, ..places };
        assert_eq!(places.ready(connections), expect);
        assert_eq!(places.ready(connections), None, "nothing is said twice");
    }

    #[test]
    fn free_places_are_shared_out_over_the_connections() {
        check(busy(10, 0, 0), 1, 0, Some(10));
        check(busy(10, 0, 0), 3, 0, Some(3));
        check(busy(10, 0, 0), 0, 0, Some(10));
        check(busy(9_000, 0, 0), 1, 0, Some(2_500));
        check(busy(10, 4, 0), 2, 5, None);
    }

    #[test]
    fn one_free_place_is_offered_at_every_node() {
        check(busy(10, 0, 9), 3, 0, Some(1));
        check(busy(10, 9, 0), 20, 0, Some(1));
    }

    #[test]
    fn a_full_worker_says_so_at_once() {
        check(busy(10, 10, 0), 2, 5, Some(0));
        check(busy(10, 0, 10), 2, 1, Some(0));
        check(busy(10, 0, 10), 2, 0, None);
        let mut closed = busy(10, 0, 0);
        closed.set_open(false);
        check(closed, 2, 5, Some(0));
    }

    #[test]
    fn too_much_is_taken_back_at_once_and_more_is_offered_lazily() {
        check(busy(10, 0, 1), 1, 10, None); // within a quarter
        check(busy(10, 0, 5), 1, 10, Some(5));
        check(busy(10, 0, 8), 1, 3, Some(2));
        check(busy(10, 0, 4), 1, 5, None);
        check(busy(10, 0, 0), 1, 6, Some(10)); // all free
        check(busy(10, 0, 2), 1, 4, Some(8)); // twice as much
    }

    proptest! {
        #[test]
        fn the_count_is_zero_exactly_when_no_place_is_free(
            steps in prop::collection::vec((0..5_u8, 1..4_usize), 0..200),
            total in 1..20_u32,
        ) {
            let mut places = Places::new(total);
            for (step, connections) in steps {
                match step {
                    0 | 1 => { let free = places.free() > 0; prop_assert_eq!(places.take(), free); }
                    2 if places.asked > 0 => places.start(),
                    3 if places.asked > 0 => places.give_back(),
                    4 if places.executing > 0 => places.end(),
                    _ => {}
                }
                places.ready(connections);
                prop_assert!(places.asked + places.executing <= total);
                prop_assert_eq!(places.said == 0, places.free() == 0);
                // Never more than a quarter beyond what one connection may be sent.
                let want = places.wanted(connections);
                prop_assert!(places.said <= want + want / 4);
            }
        }
    }
}
