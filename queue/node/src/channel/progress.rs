//! What a channel is done with.

use std::ops::Range;

use roaring::RoaringTreemap;

use crate::message::Sequence;

/// How many numbers are added before the set is packed: what one part of it holds at most.
const PACK_EVERY: u32 = 1 << 16;

/// The messages a channel will never deliver again: all below a floor, and single ones above it.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    floor: Sequence,
    above: RoaringTreemap,
    /// Numbers added one by one since the set was last packed.
    unpacked: u32,
}

impl Progress {
    /// Done with everything before `start`.
    pub(crate) fn starting_at(start: Sequence) -> Self {
        Self { floor: start, above: RoaringTreemap::new(), unpacked: 0 }
    }

    /// The first message it is not done with.
    pub(crate) fn floor(&self) -> Sequence {
        self.floor
    }

    pub(crate) fn contains(&self, sequence: Sequence) -> bool {
        sequence < self.floor || self.above.contains(sequence.0)
    }

    /// How many messages of `range` it is done with.
    pub(crate) fn count_within(&self, range: Range<Sequence>) -> u64 {
        if range.start >= range.end {
            return 0;
        }
        let below = self.floor.0.clamp(range.start.0, range.end.0) - range.start.0;
        let rank_before = |number: u64| number.checked_sub(1).map_or(0, |last| self.above.rank(last));
        below + rank_before(range.end.0) - rank_before(range.start.0)
    }

    /// Adds one message. It is not done with twice: says whether it was new.
    pub(crate) fn add(&mut self, sequence: Sequence) -> bool {
        if sequence < self.floor {
            return false;
        }
        if sequence > self.floor {
            self.pack_now_and_then();
            return self.above.insert(sequence.0);
        }
        self.floor = sequence.plus(1);
        self.advance();
        true
    }

    /// It is done no more with any message from `from` on.
    pub(crate) fn forget_from(&mut self, from: Sequence) {
        self.above.remove_range(from.0..);
        self.floor = self.floor.min(from);
    }

    /// Adds all of `range`; says how many were new.
    pub(crate) fn add_range(&mut self, range: Range<Sequence>) -> u64 {
        let start = range.start.max(self.floor);
        if start >= range.end {
            return 0;
        }
        if start > self.floor {
            return self.above.insert_range(start.0..range.end.0);
        }
        // The set need not hold what is below the floor at once, however much it is.
        let known = self.above.range_cardinality(start.0..range.end.0);
        self.floor = range.end;
        self.above.remove_range(start.0..range.end.0);
        self.advance();
        range.end.0 - start.0 - known
    }

    fn advance(&mut self) {
        if self.above.is_empty() {
            return;
        }
        let floor = self.first_open(self.floor);
        self.above.remove_range(self.floor.0..floor.0);
        self.floor = floor;
    }

    /// A message that is put off for days keeps the floor where it is, and all that is finished meanwhile is above it:
    /// as runs that takes next to no memory, as it is added a bit each.
    fn pack_now_and_then(&mut self) {
        self.unpacked += 1;
        if self.unpacked >= PACK_EVERY {
            self.unpacked = 0;
            self.above.optimize();
        }
    }

    /// The first message at `from` or after it that it is not done with.
    pub(crate) fn first_open(&self, from: Sequence) -> Sequence {
        let mut first = from.max(self.floor).0;
        while self.above.contains(first) {
            let (high, low) = ((first >> 32) as u32, first as u32);
            let bitmap = self.above.bitmaps().find(|(of, _)| *of == high).map(|(_, bitmap)| bitmap);
            let run = bitmap.and_then(|bitmap| bitmap.range(low..).next_range());
            first = run.map_or(first, |run| u64::from(high) << 32 | u64::from(*run.end())) + 1;
        }
        Sequence(first)
    }

    /// Takes from `numbers`, all of which are below `end`, those it is not done with.
    pub(crate) fn retain_done(&self, numbers: &mut RoaringTreemap, end: Sequence) {
        if self.floor >= end {
            return;
        }
        let mut done = &*numbers & &self.above;
        numbers.remove_range(self.floor.0..);
        done |= std::mem::take(numbers);
        *numbers = done;
    }

    /// The finished messages above the floor, as ranges in order.
    pub(crate) fn ranges(&self) -> Vec<Range<Sequence>> {
        let mut ranges: Vec<Range<Sequence>> = Vec::new();
        for (high, bitmap) in self.above.bitmaps() {
            let at = |low: u32| Sequence(u64::from(high) << 32 | u64::from(low));
            let mut runs = bitmap.iter();
            while let Some(run) = runs.next_range() {
                let (start, end) = (at(*run.start()), at(*run.end()).plus(1));
                match ranges.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    Some(_) | None => ranges.push(start..end),
                }
            }
        }
        ranges
    }
}

/// `numbers`, which ascend, as ranges.
pub(crate) fn ranges_of(numbers: impl Iterator<Item = u64>) -> Vec<Range<Sequence>> {
    let mut ranges: Vec<Range<Sequence>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end.0 == number => last.end = Sequence(number + 1),
            Some(_) | None => ranges.push(Sequence(number)..Sequence(number + 1)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(
            start in 1..50_u64,
            steps in prop::collection::vec((0..100_u64, 1..20_u64), 0..60),
        ) {
            let mut progress = Progress::starting_at(Sequence(start));
            let mut model: BTreeSet<u64> = (0..start).collect();
            for (number, length) in steps {
                let range = number..number + length;
                let new = range.clone().filter(|n| !model.contains(n)).count() as u64;
                let added = if length == 1 {
                    u64::from(progress.add(Sequence(number)))
                } else {
                    progress.add_range(Sequence(range.start)..Sequence(range.end))
                };
                prop_assert_eq!(added, new);
                model.extend(range);
                let floor = (0..).find(|n| !model.contains(n)).unwrap();
                prop_assert_eq!(progress.floor(), Sequence(floor));
                for n in 0..130 {
                    prop_assert_eq!(progress.contains(Sequence(n)), model.contains(&n));
                    let open = (n..).find(|n| !model.contains(n)).unwrap();
                    prop_assert_eq!(progress.first_open(Sequence(n)), Sequence(open));
                }
                let above = model.iter().copied().filter(|n| *n > floor);
                prop_assert_eq!(progress.ranges(), ranges_of(above));
                let mut numbers: RoaringTreemap = (10..70).collect();
                progress.retain_done(&mut numbers, Sequence(70));
                prop_assert!(numbers.iter().eq(model.range(10..70).copied()));
                let within = model.range(20..70).count() as u64;
                prop_assert_eq!(progress.count_within(Sequence(20)..Sequence(70)), within);
            }
        }
    }

    #[test]
    fn what_is_finished_behind_a_message_that_waits_for_days_takes_no_memory() {
        // Each two in the wrong order, as several consumers finish them; across a border of the set's parts.
        let start = (1_u64 << 32) - 1_000_000;
        let mut progress = Progress::starting_at(Sequence(start - 1));
        for number in (start..start + 2_000_000).step_by(2) {
            progress.add(Sequence(number + 1));
            progress.add(Sequence(number));
        }
        assert!(progress.above.serialized_size() < 20_000, "{}", progress.above.serialized_size());
        let end = Sequence(start + 2_000_000);
        assert_eq!(progress.ranges(), [Sequence(start)..end]);
        progress.add(Sequence(start - 1));
        assert_eq!((progress.floor(), progress.above.len()), (end, 0));
    }
}
