//! Containers that are not read here, told by their first bytes so that the sentence can name them.

/// Returns what the bytes begin like and what to do about it.
pub(crate) fn container(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let four = bytes.get(..4)?;
    let inside = |at: usize, wanted: &[u8]| bytes.get(at..at + wanted.len()) == Some(wanted);
    Some(match four {
        // EBML, RFC 8794 section 11.2.1.
        [0x1a, 0x45, 0xdf, 0xa3] => ("a Matroska or WebM file", OUT_OF_MATROSKA),
        b"RIFF" if inside(8, b"AVI ") => ("an AVI file", TO_MP4),
        b"RIFF" if inside(8, b"WAVE") => ("a WAVE file", TO_OPUS),
        b"FLV\x01" => ("a Flash video file", TO_MP4),
        // ISO/IEC 13818-1: a sync byte every 188 bytes; a pack header.
        [0x47, ..] if inside(188, &[0x47]) && inside(376, &[0x47]) => ("an MPEG transport stream", TO_MP4),
        [0, 0, 1, 0xba] => ("an MPEG program stream", TO_MP4),
        // ADTS, ID3.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => ("raw AAC audio", TO_OPUS),
        [b'I', b'D', b'3', _] => ("an MP3 file", TO_OPUS),
        b"\x89PNG" | [0xff, 0xd8, 0xff, _] => ("a still picture", "give a video"),
        _ => return None,
    })
}

const OUT_OF_MATROSKA: &str = "take the video out of it, for example with `ffmpeg -i <file> -an -c copy new.ivf` for VP8, VP9 and AV1, or `new.mp4` for H.264";
const TO_MP4: &str = "put its video into an MP4 file, for example with `ffmpeg -i <file> -c:v libx264 -bf 0 -g 50 -an new.mp4`";
const TO_OPUS: &str = "make the sound Opus, for example with `ffmpeg -i <file> -c:a libopus sound.ogg`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_name_the_container() {
        let mut stream = vec![0; 400];
        for at in [0, 188, 376] {
            stream[at] = 0x47;
        }
        assert_eq!(container(&stream).map(|(name, _)| name), Some("an MPEG transport stream"));
        assert_eq!(container(&stream[..200]), None);
        assert_eq!(container(b"RIFF\0\0\0\0AVI LIST").map(|(name, _)| name), Some("an AVI file"));
        assert_eq!(container(b"RIFF\0\0\0\0WEBPVP8 "), None);
        assert_eq!(container(&[0xff, 0xf1, 0x50, 0x80]).map(|(name, _)| name), Some("raw AAC audio"));
        assert_eq!(container(b"hello"), None);
        assert_eq!(container(b""), None);
    }
}
