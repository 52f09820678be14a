//! What a clip looks like, as ffmpeg decodes it: one hash per frame, so that two files can be compared picture by picture.

use std::path::Path;
use std::process::Command;

/// Why a clip's frames could not be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// ffmpeg is not installed.
    #[error("ffmpeg cannot be started ({0}); `make test` installs it, or: apt-get install ffmpeg")]
    NoFfmpeg(std::io::Error),
    /// ffmpeg could not decode the file.
    #[error("ffmpeg cannot decode {file}: {reason}")]
    Undecodable {
        /// Which.
        file: String,
        /// Its own words.
        reason: String,
    },
}

/// Returns the MD5 of every decoded video frame of a file, in order, as hexadecimal.
///
/// # Errors
/// [`DecodeError`] by variant; any complaint of the decoder counts, a broken frame too.
pub fn frame_hashes(file: &Path) -> Result<Vec<String>, DecodeError> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .map_err(DecodeError::NoFfmpeg)?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    // An elementary stream has no times of its own, which the muxer mentions and which changes no picture.
    let real: Vec<&str> =
        complaints.lines().filter(|line| !line.contains("timestamp") && !line.contains("DTS")).collect();
    if !output.status.success() || !real.is_empty() {
        let reason = real.join("; ");
        return Err(DecodeError::Undecodable { file: file.display().to_string(), reason });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let frames = text.lines().filter(|line| !line.starts_with('#'));
    Ok(frames.filter_map(|line| line.rsplit(',').next()).map(|hash| hash.trim().to_owned()).collect())
}

/// Returns how many frames of `seen`, from its first on, follow `clip` played over and over from some frame of it.
#[must_use]
pub fn consecutive(seen: &[String], clip: &[String]) -> usize {
    let follows = |start: usize| {
        seen.iter().enumerate().take_while(|(at, hash)| **hash == clip[(start + at) % clip.len()]).count()
    };
    (0..clip.len()).map(follows).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::consecutive;

    #[test]
    fn a_run_may_start_anywhere_and_go_round() {
        let clip: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let seen = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(consecutive(&seen("bcabc"), &clip), 5);
        assert_eq!(consecutive(&seen("bcbca"), &clip), 2);
        assert_eq!(consecutive(&seen("x"), &clip), 0);
    }
}
