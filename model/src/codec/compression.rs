//! Compression with a bound on what comes out. Nothing else in the workspace may decompress.

use std::{
    borrow::Cow,
    io::{self, Read, Write},
};

use crate::{Error, Result};

/// Fast rather than small: records are short-lived.
const ZSTD_LEVEL: i32 = 1;

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

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Encodes content.
pub(super) fn compress(content: Vec<u8>, encoding: ContentEncoding) -> Result<Vec<u8>> {
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
/// costs no more than that; a stream that ends early is an error.
pub fn decompress(content: &[u8], encoding: ContentEncoding, bytes_max: usize) -> Result<Cow<'_, [u8]>> {
    #[expect(clippy::disallowed_types, reason = "the one place that decompresses, and it bounds the output")]
    match encoding {
        ContentEncoding::Identity if content.len() > bytes_max => Err(Error::TooLarge { bytes_max }),
        ContentEncoding::Identity => Ok(Cow::Borrowed(content)),
        ContentEncoding::Gzip => bounded(flate2::read::MultiGzDecoder::new(content), encoding, bytes_max),
        ContentEncoding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(content)
                .map_err(|error| Error::Damaged { encoding: encoding.name(), reason: error.to_string() })?;
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
