//! Deterministic CBOR (RFC 8949 section 4.2.1) of the few shapes that notes and records have.

use ciborium::Value;

use crate::kid::Kid;

/// Encodes a value; maps must have their keys in order already.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut encoded = Vec::new();
    ciborium::into_writer(value, &mut encoded).expect("writing to a Vec does not fail");
    encoded
}

/// Decodes one value without anything behind it.
pub(crate) fn read(encoded: &[u8]) -> Option<Value> {
    let mut rest = encoded;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH).ok()?;
    rest.is_empty().then_some(value)
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// Counters as `[[kid, ctr], ...]`.
pub(crate) fn pairs(counters: &[(Kid, u64)]) -> Value {
    let pair = |(kid, ctr): &(Kid, u64)| Value::Array(vec![Value::from(kid.value()), Value::from(*ctr)]);
    Value::Array(counters.iter().map(pair).collect())
}

/// One element of [`pairs`].
pub(crate) fn counter(value: Value) -> Option<(Kid, u64)> {
    let [kid, ctr] = <[Value; 2]>::try_from(value.into_array().ok()?).ok()?;
    Some((Kid::from_value(number(kid)?)?, number(ctr)?))
}

/// An array of `most` elements at most.
pub(crate) fn array<T>(value: Value, most: usize, read: impl FnMut(Value) -> Option<T>) -> Option<Vec<T>> {
    let values = value.into_array().ok()?;
    if values.len() > most {
        return None;
    }
    values.into_iter().map(read).collect()
}

pub(crate) fn fixed<const N: usize>(value: Value) -> Option<[u8; N]> {
    value.into_bytes().ok()?.try_into().ok()
}

pub(crate) fn number(value: Value) -> Option<u64> {
    value.into_integer().ok()?.try_into().ok()
}

/// Deepest nesting that is read.
const DEPTH: usize = 8;
