// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The other side of the interop tests: converts objects between formats with the original crates.
//!
//!     interop convert FROM TO TYPE      records from stdin, answers to stdout
//!     interop live IN OUT               archives of zoos from ring IN, their bincode to ring OUT
//!
//! FROM, TO: bincode, varint, rkyv. TYPE: zoo, node, batch. A record is a length (u32, little endian) and so many
//! bytes; an answer has a byte in front: 0, or 1 and the sentence of what is wrong.

mod live;
mod types;

use std::io::{self, Read, Write};

use bincode::Options;
use rkyv::ser::serializers::AllocSerializer;
use rkyv::validation::validators::DefaultValidator;

use types::{Batch, Node, Zoo};

type Answer = Result<Vec<u8>, String>;

fn said<E: std::fmt::Display>(e: E) -> String {
    e.to_string()
}

fn from_bytes<T>(format: &str, bytes: &[u8]) -> Result<T, String>
where
    T: serde::de::DeserializeOwned + rkyv::Archive,
    T::Archived:
        for<'a> bytecheck::CheckBytes<DefaultValidator<'a>> + rkyv::Deserialize<T, rkyv::Infallible>,
{
    match format {
        "bincode" => bincode::deserialize(bytes).map_err(said),
        "varint" => bincode::DefaultOptions::new().deserialize(bytes).map_err(said),
        "rkyv" => {
            let mut aligned = rkyv::AlignedVec::with_capacity(bytes.len());
            aligned.extend_from_slice(bytes);
            checked(&aligned)
        }
        _ => panic!("format {format}"),
    }
}

/// The bytes must be aligned.
pub fn checked<T>(bytes: &[u8]) -> Result<T, String>
where
    T: rkyv::Archive,
    T::Archived:
        for<'a> bytecheck::CheckBytes<DefaultValidator<'a>> + rkyv::Deserialize<T, rkyv::Infallible>,
{
    let archived = rkyv::check_archived_root::<T>(bytes).map_err(said)?;
    Ok(rkyv::Deserialize::<T, _>::deserialize(archived, &mut rkyv::Infallible).unwrap())
}

fn to_bytes<T>(format: &str, object: &T) -> Answer
where
    T: serde::Serialize + rkyv::Serialize<AllocSerializer<1024>>,
{
    match format {
        "bincode" => bincode::serialize(object).map_err(said),
        "varint" => bincode::DefaultOptions::new().serialize(object).map_err(said),
        "rkyv" => rkyv::to_bytes::<_, 1024>(object).map(|v| v.into_vec()).map_err(said),
        _ => panic!("format {format}"),
    }
}

fn one<T>(from: &str, to: &str, bytes: &[u8]) -> Answer
where
    T: serde::de::DeserializeOwned + serde::Serialize + rkyv::Serialize<AllocSerializer<1024>>,
    T::Archived:
        for<'a> bytecheck::CheckBytes<DefaultValidator<'a>> + rkyv::Deserialize<T, rkyv::Infallible>,
{
    to_bytes(to, &from_bytes::<T>(from, bytes)?)
}

fn read_record(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    input.read_exact(&mut len).ok()?;
    let mut bytes = vec![0; u32::from_le_bytes(len) as usize];
    input.read_exact(&mut bytes).expect("half a record");
    Some(bytes)
}

fn convert(from: &str, to: &str, kind: &str) -> io::Result<()> {
    let convert_one = match kind {
        "zoo" => one::<Zoo>,
        "node" => one::<Node>,
        "batch" => one::<Batch>,
        _ => panic!("type {kind}"),
    };
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    while let Some(record) = read_record(&mut input) {
        let (status, bytes) = match convert_one(from, to, &record) {
            Ok(bytes) => (0, bytes),
            Err(sentence) => (1, sentence.into_bytes()),
        };
        output.write_all(&[status])?;
        output.write_all(&(bytes.len() as u32).to_le_bytes())?;
        output.write_all(&bytes)?;
        output.flush()?;
    }
    Ok(())
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["convert", from, to, kind] => convert(from, to, kind).expect("a pipe"),
        ["live", input, output] => live::run(input, output),
        _ => panic!("usage: interop convert FROM TO TYPE | live IN OUT"),
    }
}
