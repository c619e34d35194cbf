//! Batches as records.

use flagmeter_model::{
    Batch, ContentEncoding, Environment, EnvironmentCounts, Name, NodeId, Seq, SeriesKey, Slot, SlotCounts,
    Timestamp, decode, encode,
};

use super::{Harness, read_all, record};
use crate::Result;

/// While customers are compressed one after the other, records of all forms stand in one partition, and any reader reads
/// them all.
pub async fn batches_of_every_encoding_come_back_from_one_partition<H: Harness>() -> Result<()> {
    let harness = H::new(1).await?;
    let batches: Vec<Batch> = (0..6).filter_map(|part| a_batch(part).ok()).collect();
    assert_eq!(batches.len(), 6);
    let encoded = batches.iter().zip(ContentEncoding::ALL.into_iter().cycle());
    let records = encoded.map(|(batch, encoding)| {
        let payload = encode(batch, encoding).unwrap_or_default();
        assert_eq!(ContentEncoding::sniff(&payload), encoding);
        record(0, payload)
    });
    harness.producer().await?.append(records.collect()).await?;
    let read = read_all(&mut *harness.consumer().await?).await?;
    let decoded: Result<Vec<Batch>, _> = read.iter().map(|record| decode(&record.payload)).collect();
    assert_eq!(decoded, Ok(batches));
    Ok(())
}

/// A part of a seal with counts.
fn a_batch(part: u16) -> flagmeter_model::Result<Batch> {
    let node = NodeId::new(3)?;
    let at = Timestamp::from_seconds_clamped(1_795_000_000);
    let environment = Environment {
        customer: Name::new(&format!("customer-{part}"))?,
        project: Name::new("web")?,
        environment: Name::new("live")?,
    };
    let flag = |number| Ok(SeriesKey::flag(Name::new(&format!("flag-{number}"))?));
    let series = (0..9).map(flag).collect::<flagmeter_model::Result<_>>()?;
    let slot = SlotCounts { slot: Slot::containing(at), series: (0..9).collect(), counts: vec![7; 9] };
    Ok(Batch {
        node,
        seq: Seq::new(1),
        part,
        sealed_at: at,
        covers_from: at,
        watermark: None,
        farewell: false,
        region: None,
        environments: vec![EnvironmentCounts { environment, series, slots: vec![slot] }],
    })
}
