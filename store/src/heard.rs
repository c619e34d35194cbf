//! How far one node has got in one partition of the log: the same rules for every backend.

use flagmeter_model::{Name, NodeId, NodeProgress, Seq, Timestamp};

use crate::Positioned;

/// What the records of a node in a partition have told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The newest seal that was applied, and its last part.
    pub(crate) seq: Seq,
    pub(crate) part: u16,
    pub(crate) watermark: Timestamp,
    /// When its newest record was appended.
    pub(crate) appended_at: Timestamp,
    pub(crate) farewell: bool,
    /// Where the node stands, as its newest seal says.
    pub(crate) region: Option<Name>,
}

impl Heard {
    /// What is known after a record. `None` when it is of an older seal than the newest and changes nothing.
    pub(crate) fn after(known: Option<&Self>, record: &Positioned) -> Option<Self> {
        let Positioned { appended_at, batch, .. } = record;
        let watermark = record.watermark();
        // Without a watermark of its own, a first record still says that the node had handed on, in records
        // before it, all that it received before it was there.
        let known = known.cloned().unwrap_or_else(|| Self {
            seq: batch.seq,
            part: batch.part,
            watermark: watermark.unwrap_or_else(|| batch.covers_from.min(*appended_at)),
            appended_at: *appended_at,
            farewell: batch.farewell,
            region: None,
        });
        if batch.seq < known.seq {
            return None;
        }
        Some(Self {
            seq: batch.seq,
            part: if batch.seq == known.seq { batch.part.max(known.part) } else { batch.part },
            watermark: watermark.map_or(known.watermark, |at| at.max(known.watermark)),
            appended_at: known.appended_at.max(*appended_at),
            // The parts of one seal come as several records; any of them may carry the last words.
            farewell: batch.farewell || (batch.seq == known.seq && known.farewell),
            region: batch.region.clone(),
        })
    }

    /// Whether this record has been applied, or a later one of its node: then it may be one that was appended
    /// twice. (Or not: a journal that was moved to another node hands on late.)
    pub(crate) fn may_include(&self, record: &Positioned) -> bool {
        (record.batch.seq, record.batch.part) <= (self.seq, self.part)
    }

    /// As the views of nodes are told.
    pub(crate) fn told(self, partition: u32, node: NodeId) -> NodeProgress {
        let Self { watermark, appended_at, farewell, region, .. } = self;
        NodeProgress { partition, node, watermark, heard_at: appended_at, farewell, region }
    }
}
