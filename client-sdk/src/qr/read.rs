//! Reading QR codes from a picture: as it is, then larger, smaller, as a negative, and turned.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageReader, Limits};
use rqrr::PreparedImage;
use zeroize::Zeroizing;

/// No code could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The file is no picture that can be read.
    #[error("{} is not a picture that can be read: use a PNG or JPEG file", .0.display())]
    NoPicture(PathBuf),
    /// There is no QR code in it.
    #[error("there is no QR code in {}: take the picture again, with the whole code and a white border around it", .0.display())]
    NoCode(PathBuf),
    /// There is one, but too much of it is covered, blurred or cut off.
    #[error("the QR code in {} is damaged or blurred: take the picture again, sharp and with the whole code", .0.display())]
    Damaged(PathBuf),
}

/// Returns the texts of all QR codes in a PNG or JPEG file of at most 32 MB.
///
/// Fails with [`ReadError`].
pub fn read(path: &Path) -> Result<Vec<Zeroizing<String>>, ReadError> {
    let io = |error: std::io::Error| ReadError::Io { path: path.to_owned(), reason: error.to_string() };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(io)?;
    BufReader::new(file).take(LARGEST).read_to_end(&mut bytes).map_err(io)?;
    let picture = decode(&bytes).ok_or_else(|| ReadError::NoPicture(path.to_owned()))?;
    find(&picture).map_err(|seen| match seen {
        Seen::Nothing => ReadError::NoCode(path.to_owned()),
        Seen::Damaged => ReadError::Damaged(path.to_owned()),
    })
}

fn decode(bytes: &[u8]) -> Option<GrayImage> {
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    reader.limits(limits);
    Some(reader.decode().ok()?.into_luma8())
}

enum Seen {
    Nothing,
    Damaged,
}

fn find(picture: &GrayImage) -> Result<Vec<Zeroizing<String>>, Seen> {
    let mut seen = Seen::Nothing;
    for attempt in 0..ATTEMPTS {
        let Some(picture) = variant(picture, attempt) else { continue };
        let mut prepared = PreparedImage::prepare(picture);
        let mut texts = Vec::new();
        for grid in prepared.detect_grids() {
            match grid.decode() {
                Ok((_, text)) => texts.push(Zeroizing::new(text)),
                Err(_) => seen = Seen::Damaged,
            }
        }
        if !texts.is_empty() {
            return Ok(texts);
        }
    }
    Err(seen)
}

/// The picture as the detector gets it at an attempt; `None` when that makes no sense for its size.
fn variant(picture: &GrayImage, attempt: usize) -> Option<GrayImage> {
    let (width, height) = picture.dimensions();
    let scaled = |by: f32| {
        let side = |pixels: u32| (pixels as f32 * by) as u32;
        let fits = side(width) >= 21 && side(height) >= 21 && side(width.max(height)) <= LARGEST_SCALED;
        fits.then(|| imageops::resize(picture, side(width), side(height), FilterType::Triangle))
    };
    match attempt {
        0 => Some(picture.clone()),
        1 => Some(imageops::blur(picture, 1.5)),
        2 => scaled(0.5),
        3 => scaled(2.0),
        4 => {
            let mut negative = picture.clone();
            imageops::invert(&mut negative);
            Some(negative)
        }
        // The detector misses a sharp code at some angles, never at all of these.
        _ => (width.max(height) <= LARGEST_SCALED).then(|| turned(picture, 15.0 * (attempt - 4) as f32)),
    }
}

/// The picture turned around its middle; what comes in from outside is as bright as its first corner.
fn turned(picture: &GrayImage, degrees: f32) -> GrayImage {
    let (width, height) = picture.dimensions();
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (mid_x, mid_y) = (width as f32 / 2.0, height as f32 / 2.0);
    let outside = *picture.get_pixel(0, 0);
    GrayImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 - mid_x, y as f32 - mid_y);
        let (x, y) = (x * cos + y * sin + mid_x, y * cos - x * sin + mid_y);
        imageops::interpolate_bilinear(picture, x, y).unwrap_or(outside)
    })
}

const ATTEMPTS: usize = 10;
const LARGEST: u64 = 32 * 1024 * 1024;
const LONGEST_SIDE: u32 = 12_000;
const LARGEST_SCALED: u32 = 6000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use image::{DynamicImage, ImageFormat, Luma};
    use proptest::prelude::*;

    use super::*;
    use crate::qr::draw::{Ink, png, terminal};

    const TEXT: &str = "LK1:AEWL5G3KZ7KRQ2ZSM6W3C5QY4JXHB7TDTM6LQPB4T6N2VDKXRPV3E7YQW4ZJTF5N2D6QK3HZ7AQXK5DUORYHGORPF4YTENZOGAXDALRRHI4TMMBR";

    fn saved(picture: &GrayImage, name: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        DynamicImage::ImageLuma8(picture.clone()).save(&path).unwrap();
        (dir, path)
    }

    fn drawn() -> GrayImage {
        image::load_from_memory_with_format(&png(TEXT).unwrap(), ImageFormat::Png).unwrap().into_luma8()
    }

    /// The picture turned around its middle, on a grey table twice as large.
    fn on_a_table(picture: &GrayImage, degrees: f32) -> GrayImage {
        let (width, height) = picture.dimensions();
        let (sin, cos) = degrees.to_radians().sin_cos();
        GrayImage::from_fn(width * 2, height * 2, |x, y| {
            let (x, y) = (x as f32 - width as f32, y as f32 - height as f32);
            let (x, y) = (x * cos + y * sin + width as f32 / 2.0, y * cos - x * sin + height as f32 / 2.0);
            let inside = x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32;
            if inside { *picture.get_pixel(x as u32, y as u32) } else { Luma([140]) }
        })
    }

    #[test]
    fn a_code_comes_back_from_png_and_jpeg() {
        for name in ["code.png", "code.jpg"] {
            let (_dir, path) = saved(&drawn(), name);
            assert_eq!(read(&path).unwrap()[0].as_str(), TEXT);
        }
    }

    #[test]
    fn a_negative_and_a_screenshot_of_a_terminal_are_read() {
        let mut negative = drawn();
        imageops::invert(&mut negative);
        let (_dir, path) = saved(&negative, "code.png");
        assert_eq!(read(&path).unwrap()[0].as_str(), TEXT);

        for ink in [Ink::Colours, Ink::LightOnDark] {
            let shown = terminal(TEXT, ink).unwrap();
            let (foreground, background) = if ink == Ink::Colours { (255, 0) } else { (220, 30) };
            let rows: Vec<Vec<char>> =
                shown.lines().map(|line| line.chars().filter(|c| "█▀▄ ".contains(*c)).collect()).collect();
            let screen =
                GrayImage::from_fn(rows[0].len() as u32 * 8 + 80, rows.len() as u32 * 16 + 80, |x, y| {
                    let (column, line) = (x.wrapping_sub(40) / 8, y.wrapping_sub(40) / 16);
                    let glyph = rows.get(line as usize).and_then(|row| row.get(column as usize));
                    let upper = y.wrapping_sub(40) % 16 < 8;
                    let full = match glyph {
                        Some('█') => true,
                        Some('▀') => upper,
                        Some('▄') => !upper,
                        _ => false,
                    };
                    Luma([if full { foreground } else { background }])
                });
            let (_dir, path) = saved(&screen, "screen.png");
            assert_eq!(read(&path).unwrap()[0].as_str(), TEXT, "{ink:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let missing = PathBuf::from("/nowhere/code.png");
        assert!(matches!(read(&missing), Err(ReadError::Io { .. })));
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("note.png");
        std::fs::write(&note, "no picture").unwrap();
        assert_eq!(read(&note), Err(ReadError::NoPicture(note)));
        let (_dir, path) = saved(&GrayImage::from_pixel(300, 300, Luma([200])), "empty.png");
        assert_eq!(read(&path), Err(ReadError::NoCode(path)));
        // The corners are whole, but a fifth of the modules is anything.
        let mut covered = drawn();
        let (width, height) = covered.dimensions();
        for (x, y, pixel) in covered.enumerate_pixels_mut() {
            let (across, down) = (x * 100 / width, y * 100 / height);
            if (30..70).contains(&across) && (30..72).contains(&down) {
                pixel.0[0] = if (x / 8 * 7 + y / 8 * 13) % 5 < 2 { 0 } else { 255 };
            }
        }
        let (_dir, path) = saved(&covered, "covered.png");
        assert_eq!(read(&path), Err(ReadError::Damaged(path)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn turned_and_noisy_codes_come_back(degrees in 0.0..360.0_f32, noise in 0..40_u8, seed: u32) {
            let mut picture = on_a_table(&drawn(), degrees);
            let mut state = seed | 1;
            for pixel in picture.pixels_mut() {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let shift = (state % (2 * u32::from(noise) + 1)) as i32 - i32::from(noise);
                pixel.0[0] = (i32::from(pixel.0[0]) + shift).clamp(0, 255) as u8;
            }
            let (_dir, path) = saved(&picture, "turned.png");
            let texts = read(&path).unwrap();
            prop_assert_eq!(texts[0].as_str(), TEXT);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), png: bool) {
            let mut bytes = bytes;
            if png {
                bytes.splice(0..0, *b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0@\0\0\0@\x08\0\0\0\0");
            }
            if let Some(picture) = decode(&bytes) {
                let _ = find(&picture);
            }
        }
    }
}
