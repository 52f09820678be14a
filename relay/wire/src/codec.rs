//! The codecs a room may carry, with the names and numbers SDP and the sealed inner header use.

use std::fmt;

/// What a track is to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// Returns the SDP media name (`audio`, `video`), also used as metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A codec. The discriminant is the codec byte of the sealed inner header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// H.264, RTP by RFC 6184.
    H264 = 0,
    /// VP8, RTP by RFC 7741.
    Vp8 = 1,
    /// VP9, RTP by RFC 9628.
    Vp9 = 2,
    /// AV1, RTP by the AV1 RTP specification of AOMedia.
    Av1 = 3,
    /// Opus, RTP by RFC 7587.
    Opus = 4,
}

impl Codec {
    /// Every codec, in the order of its code.
    pub const ALL: [Self; 5] = [Self::H264, Self::Vp8, Self::Vp9, Self::Av1, Self::Opus];

    /// Returns the codec byte of the sealed inner header.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns the codec with this code, or `None` for a code not given out.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Returns the encoding name as `a=rtpmap` has it.
    #[must_use]
    pub const fn sdp_name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "opus",
        }
    }

    /// Returns the codec of an `a=rtpmap` encoding name, compared without case (RFC 8866 section 6.6).
    #[must_use]
    pub fn from_sdp_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.sdp_name().eq_ignore_ascii_case(name))
    }

    /// Returns whether this is sound or pictures.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Opus => MediaKind::Audio,
            _ => MediaKind::Video,
        }
    }

    /// Returns the RTP clock rate in ticks per second.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            _ => 90_000,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sdp_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_come_back() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_code(codec.code()), Some(codec));
            assert_eq!(Codec::from_sdp_name(&codec.sdp_name().to_lowercase()), Some(codec));
        }
        assert_eq!(Codec::from_code(5), None);
        assert_eq!(Codec::from_sdp_name("H265"), None);
    }
}
