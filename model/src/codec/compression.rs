//! Compression with a bound on what comes out. Nothing else in the workspace may decompress.

use std::{
    borrow::Cow,
    io::{self, Read, Write},
};

use crate::{Error, Result};

/// Fast rather than small: records are short-lived.
const ZSTD_LEVEL: i32 = 1;

/// The window that a frame of the strongest usual level asks for (8 MiB), whatever it holds.
const ZSTD_WINDOW_LOG_MIN: u32 = 23;
/// Beyond this (128 MiB) the decoder itself refuses.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How content is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// As it is.
    Identity,
    /// RFC 1952, several members included.
    Gzip,
    /// RFC 8878, several frames included.
    Zstd,
}

impl ContentEncoding {
    /// All encodings.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Gzip, Self::Zstd];

    /// Told by the first bytes.
    pub fn sniff(content: &[u8]) -> Self {
        match content {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Identity,
        }
    }

    /// Told by an HTTP `Content-Encoding`, without regard to case; `None` for one that is not spoken here.
    pub fn from_header(value: &str) -> Option<Self> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// For messages and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Encodes content.
pub fn compress(content: Vec<u8>, encoding: ContentEncoding) -> Result<Vec<u8>> {
    let failed = |error: io::Error| Error::Damaged { encoding: encoding.name(), reason: error.to_string() };
    match encoding {
        ContentEncoding::Identity => Ok(content),
        ContentEncoding::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&content).map_err(failed)?;
            gzip.finish().map_err(failed)
        }
        ContentEncoding::Zstd => zstd::bulk::compress(&content, ZSTD_LEVEL).map_err(failed),
    }
}

/// Decodes content, whole or not at all. Stops as soon as more than `bytes_max` bytes come out, so a bomb
/// costs no more than that (and 8 MiB of window, for zstd); a stream that ends early is an error, one that does not
/// begin included.
pub fn decompress(content: &[u8], encoding: ContentEncoding, bytes_max: usize) -> Result<Cow<'_, [u8]>> {
    #[expect(clippy::disallowed_types, reason = "the one place that decompresses, and it bounds the output")]
    match encoding {
        ContentEncoding::Identity if content.len() > bytes_max => Err(Error::TooLarge { bytes_max }),
        ContentEncoding::Identity => Ok(Cow::Borrowed(content)),
        ContentEncoding::Gzip => bounded(flate2::read::MultiGzDecoder::new(content), encoding, bytes_max),
        ContentEncoding::Zstd => {
            let failed =
                |error: io::Error| Error::Damaged { encoding: encoding.name(), reason: error.to_string() };
            let mut decoder = zstd::stream::read::Decoder::with_buffer(content).map_err(failed)?;
            // A frame says itself how much memory its window takes: believed only as far as it can be useful.
            let window = bytes_max.checked_next_power_of_two().unwrap_or(usize::MAX).ilog2();
            decoder.window_log_max(window.clamp(ZSTD_WINDOW_LOG_MIN, ZSTD_WINDOW_LOG_MAX)).map_err(failed)?;
            bounded(decoder, encoding, bytes_max)
        }
    }
}

fn bounded<'a>(decoder: impl Read, encoding: ContentEncoding, bytes_max: usize) -> Result<Cow<'a, [u8]>> {
    let mut content = Vec::new();
    let one_more = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(one_more)
        .read_to_end(&mut content)
        .map_err(|error| Error::Damaged { encoding: encoding.name(), reason: error.to_string() })?;
    if content.len() > bytes_max { Err(Error::TooLarge { bytes_max }) } else { Ok(Cow::Owned(content)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPRESSED: [ContentEncoding; 2] = [ContentEncoding::Gzip, ContentEncoding::Zstd];

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(content: Vec<u8>) {
            for encoding in ContentEncoding::ALL {
                let encoded = compress(content.clone(), encoding).expect("encodes");
                let decoded = decompress(&encoded, encoding, content.len()).expect("decodes");
                prop_assert_eq!(decoded.as_ref(), &content, "{:?}", encoding);
            }
        }

        #[test]
        fn a_stream_cut_anywhere_is_an_error(content: Vec<u8>, at: prop::sample::Index) {
            for encoding in COMPRESSED {
                let encoded = compress(content.clone(), encoding).expect("encodes");
                let cut = &encoded[..at.index(encoded.len())];
                let refused = decompress(cut, encoding, 1 << 20);
                prop_assert!(matches!(refused, Err(Error::Damaged { .. })), "{:?}: {:?}", encoding, refused);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(content: Vec<u8>) {
            for encoding in ContentEncoding::ALL {
                let _ = decompress(&content, encoding, 1 << 16);
            }
        }

        #[test]
        fn members_and_frames_one_after_another_are_one_content(first: Vec<u8>, second: Vec<u8>) {
            for encoding in COMPRESSED {
                let mut encoded = compress(first.clone(), encoding).expect("encodes");
                encoded.extend(compress(second.clone(), encoding).expect("encodes"));
                let decoded = decompress(&encoded, encoding, 1 << 20).expect("decodes");
                prop_assert_eq!(decoded.as_ref(), [first.as_slice(), &second].concat(), "{:?}", encoding);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_first_byte_too_many() {
        let zeros = vec![0; 3 << 20];
        for encoding in ContentEncoding::ALL {
            let bomb = compress(zeros.clone(), encoding).expect("encodes");
            let bytes_max = zeros.len() - 1;
            assert_eq!(
                decompress(&bomb, encoding, bytes_max),
                Err(Error::TooLarge { bytes_max }),
                "{encoding:?}"
            );
            assert_eq!(decompress(&bomb, encoding, 0), Err(Error::TooLarge { bytes_max: 0 }), "{encoding:?}");
            assert!(decompress(&bomb, encoding, zeros.len()).is_ok(), "{encoding:?}");
        }
    }

    /// A frame of one byte that asks for a window of 2^`log` bytes: magic, header without content size, window,
    /// one last raw block.
    fn frame_with_window(log: u8) -> Vec<u8> {
        vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x09, 0x00, 0x00, b'x']
    }

    #[test]
    fn a_frame_that_asks_for_more_memory_than_it_may_fill_is_refused() {
        let is_read = |log, bytes_max| {
            decompress(&frame_with_window(log), ContentEncoding::Zstd, bytes_max)
                .is_ok_and(|content| content.as_ref() == b"x")
        };
        assert!(is_read(23, 1), "any usual level of any client fits");
        assert!(!is_read(24, 1));
        assert!(is_read(26, 64 << 20));
        assert!(!is_read(27, 64 << 20));
    }

    #[test]
    fn a_stream_that_does_not_begin_is_an_error() {
        for encoding in COMPRESSED {
            assert!(matches!(decompress(b"", encoding, 1), Err(Error::Damaged { .. })), "{encoding:?}");
        }
    }

    #[test]
    fn the_encoding_is_told_by_the_first_bytes_and_by_the_header() {
        for encoding in ContentEncoding::ALL {
            let encoded = compress(b"{}".to_vec(), encoding).expect("encodes");
            assert_eq!(ContentEncoding::sniff(&encoded), encoding);
        }
        assert_eq!(ContentEncoding::sniff(b""), ContentEncoding::Identity);
        assert_eq!(ContentEncoding::from_header(" GZIP "), Some(ContentEncoding::Gzip));
        assert_eq!(ContentEncoding::from_header(""), Some(ContentEncoding::Identity));
        assert_eq!(ContentEncoding::from_header("zstd"), Some(ContentEncoding::Zstd));
        assert_eq!(ContentEncoding::from_header("br"), None);
    }
}
