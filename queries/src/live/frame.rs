//! Pieces of streams: encoded once and compressed once, for all who are sent them.
//!
//! A gzip stream is made for each viewer out of pieces that were compressed for nobody in particular: each is deflated
//! without looking back, and ends on a full byte. What is a stream's own is its head, and the checksum at its end, which
//! is put together from those of the pieces.

use std::{
    io::Write as _,
    sync::{Arc, OnceLock},
};

use axum::{body::Bytes, http::HeaderMap};
use flate2::{Compression, Crc, write::DeflateEncoder};

use crate::encoding::takes;

/// The head of a gzip stream (RFC 1952) that tells nothing of a file.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// The last block of a deflate stream (RFC 1951), with nothing in it.
const DEFLATE_END: [u8; 2] = [3, 0];

/// A piece of streams.
pub(super) struct Frame {
    plain: Bytes,
    /// Made when the first viewer asks for it.
    packed: OnceLock<Packed>,
}

struct Packed {
    deflated: Bytes,
    crc: Crc,
}

impl Frame {
    pub(super) fn new(plain: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Self { plain: plain.into(), packed: OnceLock::new() })
    }

    /// Its bytes as they are.
    pub(super) const fn plain(&self) -> &Bytes {
        &self.plain
    }

    fn packed(&self) -> &Packed {
        self.packed.get_or_init(|| {
            let mut crc = Crc::new();
            crc.update(&self.plain);
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            // Memory takes whatever is written to it.
            let _ = encoder.write_all(&self.plain).and_then(|()| encoder.flush());
            Packed { deflated: Bytes::copy_from_slice(encoder.get_ref()), crc }
        })
    }
}

/// How a viewer is sent what it is sent.
pub(super) enum Coding {
    /// As it is.
    Plain,
    /// In gzip.
    Gzip {
        /// The checksum of what was sent so far.
        crc: Crc,
        /// Whether anything was.
        has_begun: bool,
    },
}

impl Coding {
    /// What a request asks for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if takes(headers, "gzip") { Self::Gzip { crc: Crc::new(), has_begun: false } } else { Self::Plain }
    }

    /// What a head says of it.
    pub(super) const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip { .. } => Some("gzip"),
        }
    }

    /// The bytes of the next piece.
    pub(super) fn next(&mut self, frame: &Frame) -> Bytes {
        match self {
            Self::Plain => frame.plain.clone(),
            Self::Gzip { crc, has_begun } => {
                let packed = frame.packed();
                crc.combine(&packed.crc);
                if std::mem::replace(has_begun, true) {
                    return packed.deflated.clone();
                }
                [&GZIP_HEAD[..], &packed.deflated].concat().into()
            }
        }
    }

    /// The bytes after the last piece, if there are any.
    pub(super) fn end(&self) -> Option<Bytes> {
        match self {
            Self::Plain => None,
            Self::Gzip { crc, .. } => {
                let sums = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
                Some([&DEFLATE_END[..], &sums].concat().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    fn coding(accepted: &'static str) -> Coding {
        Coding::of(&[(header::ACCEPT_ENCODING, accepted.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn gzip_is_for_whom_takes_it() {
        assert_eq!(coding("br, gzip").name(), Some("gzip"));
        assert_eq!(coding("br, gzip;q=0").name(), None);
    }

    #[test]
    fn any_pieces_in_any_order_are_one_gzip_stream_and_can_be_read_as_they_come() {
        let frames: Vec<_> = ["retry: 7\n\n", &"data: aaaab ".repeat(9_000), ":\n\n", "data: ä\n\n"]
            .map(|text| Frame::new(text.to_owned()))
            .into_iter()
            .collect();
        for order in [vec![0, 1, 2, 3], vec![2, 1, 1, 0, 2], vec![3]] {
            let (mut coding, mut inflate) = (coding("gzip"), Decompress::new(false));
            let (mut sent, mut expected) = (Vec::with_capacity(1 << 20), Vec::new());
            for (place, which) in order.into_iter().enumerate() {
                expected.extend_from_slice(frames[which].plain());
                let bytes = coding.next(&frames[which]);
                let head = if place == 0 { GZIP_HEAD.len() } else { 0 };
                assert_eq!(bytes[..head], GZIP_HEAD[..head]);
                inflate.decompress_vec(&bytes[head..], &mut sent, FlushDecompress::Sync).unwrap();
                assert_eq!(sent, expected, "nothing is held back");
            }
            let end = coding.end().unwrap();
            let status = inflate.decompress_vec(&end[..2], &mut sent, FlushDecompress::Finish).unwrap();
            assert_eq!(status, flate2::Status::StreamEnd);
            let mut crc = Crc::new();
            crc.update(&expected);
            assert_eq!(
                (&end[2..6], &end[6..]),
                (&crc.sum().to_le_bytes()[..], &crc.amount().to_le_bytes()[..])
            );
        }
        assert!(frames[1].packed().deflated.len() < 1_000);
    }
}
