//! Good entries on their way to the committer, packed into one allocation a request.

use flagmeter_model::{Meter, Slot};

use crate::varint::{self, Reader};

const REQUESTS: u8 = 1;
const HAS_VARIANT: u8 = 2;
const HAS_SLOT: u8 = 4;

/// One good entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'e> {
    /// What is counted: evaluations or requests.
    pub meter: Meter,
    /// The flag or the resource.
    pub name: &'e str,
    /// The variant, where the format tells it.
    pub variant: Option<&'e str>,
    /// The count: 1 to [`flagmeter_model::Limits::ENTRY_COUNT_MAX`].
    pub count: u64,
    /// When it was counted; `None`: when it is committed.
    pub slot: Option<Slot>,
}

/// Good entries, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entries {
    packed: Vec<u8>,
    len: usize,
}

impl Entries {
    /// No entries, with room for those of a body of this many bytes.
    pub(crate) fn for_body(bytes: usize) -> Self {
        Self { packed: Vec::with_capacity(bytes.min(64 * 1024)), len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes they take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.packed.capacity()
    }

    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        let tag = if entry.meter == Meter::Requests { REQUESTS } else { 0 }
            | if entry.variant.is_some() { HAS_VARIANT } else { 0 }
            | if entry.slot.is_some() { HAS_SLOT } else { 0 };
        self.packed.push(tag);
        varint::put_text(&mut self.packed, entry.name);
        if let Some(variant) = entry.variant {
            varint::put_text(&mut self.packed, variant);
        }
        varint::put(&mut self.packed, entry.count);
        if let Some(slot) = entry.slot {
            varint::put(&mut self.packed, u64::from(slot.number()));
        }
        self.len += 1;
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut reader = Reader::new(&self.packed);
        std::iter::from_fn(move || read(&mut reader))
    }
}

fn read<'e>(reader: &mut Reader<'e>) -> Option<Entry<'e>> {
    let tag = reader.byte()?;
    Some(Entry {
        meter: if tag & REQUESTS == 0 { Meter::Evaluations } else { Meter::Requests },
        name: reader.text()?,
        variant: if tag & HAS_VARIANT == 0 { None } else { Some(reader.text()?) },
        count: reader.number()?,
        slot: if tag & HAS_SLOT == 0 { None } else { Some(Slot::from_number(reader.small()?).ok()?) },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_pushed_comes_out(
            given in proptest::collection::vec(
                (any::<bool>(), ".{1,20}", proptest::option::of(".{1,9}"), 1_u64.., proptest::option::of(0_u32..900_000_000)),
                0..20,
            )
        ) {
            let given: Vec<_> = given
                .iter()
                .map(|(requests, name, variant, count, slot)| Entry {
                    meter: if *requests { Meter::Requests } else { Meter::Evaluations },
                    name,
                    variant: variant.as_deref(),
                    count: *count,
                    slot: slot.map(|number| Slot::from_number(number).unwrap()),
                })
                .collect();
            let mut entries = Entries::default();
            for entry in &given {
                entries.push(entry);
            }
            prop_assert_eq!(entries.iter().collect::<Vec<_>>(), given);
        }
    }
}
