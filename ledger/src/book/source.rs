//! Where a book's rows come from: from here, or from a topic whose rows it repeats.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use crate::{Error, Result};

/// Fails where the book repeats a topic: what is appended to it alone would be lost when it is made again.
pub(super) fn none(book: &Connection, path: &Path) -> Result<()> {
    match topic(book)? {
        None => Ok(()),
        Some(topic) => Err(Error::Open {
            path: path.to_owned(),
            reason: format!(
                "it repeats the topic {topic} of Kafka, and is no ledger by itself: choose another path"
            ),
        }),
    }
}

fn topic(book: &Connection) -> Result<Option<String>> {
    Ok(book.query_row("SELECT topic FROM source", [], |row| row.get(0)).optional()?)
}

#[cfg(feature = "kafka")]
pub(super) use of_topic::claim;
#[cfg(feature = "kafka")]
pub(crate) use of_topic::{Taken, take, taken};

#[cfg(feature = "kafka")]
mod of_topic {
    use std::path::Path;

    use flagmeter_model::Timestamp;
    use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

    use super::topic;
    use crate::{Error, Result, Standing, book::standing};

    /// The last record that was taken in. Another topic of the same name has another one there.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Taken {
        /// Its place in the topic.
        pub(crate) offset: u64,
        /// When it was appended.
        pub(crate) at: Timestamp,
    }

    /// Makes an empty book that of a topic, or sees that it is.
    pub(in crate::book) fn claim(book: &Connection, wanted: &str, path: &Path) -> Result<()> {
        let unusable = |reason: String| Err(Error::Open { path: path.to_owned(), reason });
        match topic(book)? {
            Some(topic) if topic == wanted => Ok(()),
            Some(topic) => unusable(format!(
                "it repeats the topic {topic}, and not {wanted}: choose another path, or delete the file, and it is made \
                 again from {wanted}"
            )),
            None if standing(book)? == Standing::default() => {
                book.execute("INSERT INTO source (id, topic) VALUES (1, ?1)", [wanted])?;
                Ok(())
            }
            None => unusable(
                "it is a ledger by itself, and not what was read of Kafka: choose another path".into(),
            ),
        }
    }

    /// The last record that was taken in; `None` before the first.
    pub(crate) fn taken(book: &Connection) -> Result<Option<Taken>> {
        let mut statement =
            book.prepare_cached("SELECT taken, taken_at FROM source WHERE taken IS NOT NULL")?;
        let found = statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
        Ok(found.map(|(offset, at)| Taken {
            offset: offset.unsigned_abs(),
            at: Timestamp::from_millis_clamped(at),
        }))
    }

    /// In the step that takes in what the record says.
    pub(crate) fn take(step: &Transaction<'_>, taken: Taken) -> Result<()> {
        step.prepare_cached("UPDATE source SET taken = ?1, taken_at = ?2")?
            .execute(params![taken.offset.cast_signed(), taken.at.as_millis()])?;
        Ok(())
    }
}
