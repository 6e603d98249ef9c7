//! What a node and a lookup send to each other.

use bytes::BytesMut;
use punctual_queue_wire::lookup::{
    LookupIdentity, RegistrationCommand, RegistrationError, RegistrationReader, decode_answer,
};

use crate::meter::within;
use crate::pieces::read_all;

/// The longest body of IDENTIFY, and the longest answer, in bytes.
const MAX_BYTES: usize = 10_000;

/// The first byte says how the rest arrives.
///
/// # Panics
/// When commands depend on how they arrive, are not those that were read once they are written again, or take more
/// memory than a small multiple of the input.
pub fn run(data: &[u8]) {
    let Some((control, input)) = data.split_first() else { return };
    let size = usize::from(*control) + 1;
    let memory = 32 * 1024 + 128 * input.len();
    let whole = within(memory, || read(input, input.len()));
    let in_pieces = within(memory, || read(input, size));
    assert_eq!(whole, in_pieces, "as a whole, and in pieces of {size}");
    let mut written = BytesMut::new();
    whole.0.iter().for_each(|command| command.encode(&mut written));
    assert_eq!(read(&written, written.len()), (whole.0, None));

    let answers = |size| read_all(input, size, |input| decode_answer(input, MAX_BYTES));
    let (whole, in_pieces) = (within(memory, || answers(input.len())), within(memory, || answers(size)));
    assert_eq!(whole, in_pieces);
    for answer in whole.0 {
        let _any_will_do = within(memory, || LookupIdentity::from_json(&answer));
    }
}

fn read(input: &[u8], size: usize) -> (Vec<RegistrationCommand>, Option<RegistrationError>) {
    let mut reader = RegistrationReader::new(MAX_BYTES);
    read_all(input, size, |input| reader.next(input))
}
