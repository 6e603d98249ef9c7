//! Input as a connection brings it: in pieces.

use bytes::BytesMut;

/// Gives `data` to `read` in pieces of `size` bytes, as it would arrive. `read` takes off the front what it can, as
/// often as it gives something; collects what it gives until it fails or nothing is left.
pub(crate) fn read_all<T, E>(
    data: &[u8],
    size: usize,
    mut read: impl FnMut(&mut BytesMut) -> Result<Option<T>, E>,
) -> (Vec<T>, Option<E>) {
    let (mut input, mut taken) = (BytesMut::new(), Vec::new());
    for piece in data.chunks(size.max(1)) {
        input.extend_from_slice(piece);
        loop {
            match read(&mut input) {
                Ok(Some(one)) => taken.push(one),
                Ok(None) => break,
                Err(error) => return (taken, Some(error)),
            }
        }
    }
    (taken, None)
}
