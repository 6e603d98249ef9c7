//! Several messages as they stand on the wire, and so in one piece.

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::wire_size;

/// Bytes in front of each body: its size.
pub const SIZE_BYTES: usize = 4;

/// Bodies of messages one after the other, each behind its size, as an MPUB has them. Clones share the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bodies {
    packed: Bytes,
    count: u32,
}

impl Bodies {
    /// The `count` bodies in `packed`; `None` unless it holds exactly these.
    #[must_use]
    pub fn parse(packed: Bytes, count: u32) -> Option<Self> {
        let mut rest = &packed[..];
        for _ in 0..count {
            let (size, behind) = rest.split_first_chunk::<SIZE_BYTES>()?;
            rest = behind.get(u32::from_be_bytes(*size) as usize..)?;
        }
        rest.is_empty().then_some(Self { packed, count })
    }

    /// Of what is known to hold exactly `count` bodies.
    pub(crate) fn checked(packed: Bytes, count: u32) -> Self {
        debug_assert!(Self::parse(packed.clone(), count).is_some());
        Self { packed, count }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of it, sizes included.
    #[must_use]
    pub fn packed(&self) -> &Bytes {
        &self.packed
    }

    /// Bytes of the bodies alone.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.packed.len() - self.len() * SIZE_BYTES
    }

    /// The bodies in order, each a slice of the whole.
    pub fn iter(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = 0;
        (0..self.count).map_while(move |_| {
            let size = u32::from_be_bytes(*self.packed.get(at..)?.first_chunk()?) as usize;
            let from = at + SIZE_BYTES;
            at = from + size;
            Some(self.packed.slice(from..at))
        })
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for Bodies {
    fn from_iter<I: IntoIterator<Item = B>>(bodies: I) -> Self {
        let mut packing = Packing::default();
        for body in bodies {
            packing.push(body.as_ref());
        }
        packing.finish()
    }
}

/// Bodies that are being put together.
#[derive(Debug, Default)]
pub struct Packing {
    packed: BytesMut,
    count: u32,
}

impl Packing {
    /// Adds a body; a copy.
    pub fn push(&mut self, body: &[u8]) {
        self.packed.reserve(SIZE_BYTES + body.len());
        self.packed.put_i32(wire_size(body.len()));
        self.packed.put_slice(body);
        self.count += 1;
    }

    /// How many there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes so far, sizes included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// What was added.
    #[must_use]
    pub fn finish(self) -> Bodies {
        Bodies { packed: self.packed.freeze(), count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bodies_come_out_as_they_went_in(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let packed: Bodies = bodies.iter().collect();
            prop_assert_eq!(packed.len(), bodies.len());
            prop_assert_eq!(packed.body_bytes(), bodies.iter().map(Vec::len).sum::<usize>());
            prop_assert_eq!(packed.iter().map(|body| body.to_vec()).collect::<Vec<_>>(), bodies);
            let again = Bodies::parse(packed.packed().clone(), packed.count);
            prop_assert_eq!(again.as_ref(), Some(&packed));
            prop_assert_eq!(Bodies::parse(packed.packed().clone(), packed.count + 1), None);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0..5_u32) {
            if let Some(bodies) = Bodies::parse(bytes.into(), count) {
                prop_assert_eq!(bodies.iter().count(), count as usize);
            }
        }
    }
}
