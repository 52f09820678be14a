//! Drawing a QR code: half blocks for a terminal, PNG for a file.

use image::{DynamicImage, ImageFormat, Luma};
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// How a terminal is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// With colours of its own: black on white, whatever the terminal's are.
    Colours,
    /// With the terminal's colours, which are taken to be light on dark.
    LightOnDark,
}

/// A text cannot become a QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// It is too long.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// The picture could not be encoded.
    #[error("the QR code cannot be written as PNG")]
    Picture,
}

/// Returns the lines that show `text` as a QR code, two rows of modules in each, with the quiet zone of ISO/IEC 18004.
///
/// Fails with [`DrawError::TooLong`].
pub fn terminal(text: &str, ink: Ink) -> Result<Zeroizing<String>, DrawError> {
    let code = code(text)?;
    let width = code.width();
    let colors =
        Zeroizing::new(code.to_colors().into_iter().map(|c| c == Color::Dark).collect::<Vec<bool>>());
    let side = width + 2 * QUIET;
    let dark = |row: usize, column: usize| {
        let inside = |at: usize| (QUIET..QUIET + width).contains(&at).then(|| at - QUIET);
        inside(row).zip(inside(column)).is_some_and(|(row, column)| colors[row * width + column])
    };
    let mut shown = Zeroizing::new(String::with_capacity(side * side * 4));
    for row in (0..side).step_by(2) {
        if ink == Ink::Colours {
            shown.push_str(WHITE_ON_BLACK);
        }
        for column in 0..side {
            // What is light is drawn: copying a terminal's text drops spaces at the ends of lines.
            let below = row + 1 == side || !dark(row + 1, column);
            shown.push(match (!dark(row, column), below) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        if ink == Ink::Colours {
            shown.push_str(RESET);
        }
        shown.push('\n');
    }
    Ok(shown)
}

/// Returns a PNG file that shows `text` as a QR code.
///
/// Fails with [`DrawError`].
pub fn png(text: &str) -> Result<Zeroizing<Vec<u8>>, DrawError> {
    let picture = code(text)?.render::<Luma<u8>>().module_dimensions(MODULE, MODULE).quiet_zone(true).build();
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(picture)
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|_| DrawError::Picture)?;
    Ok(Zeroizing::new(bytes.into_inner()))
}

fn code(text: &str) -> Result<QrCode, DrawError> {
    QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| DrawError::TooLong)
}

/// Modules of quiet zone on each side.
const QUIET: usize = 4;
/// Pixels of a module's side.
const MODULE: u32 = 8;
/// Exact colours of the 256-colour palette: themes change the first sixteen only.
const WHITE_ON_BLACK: &str = "\x1b[38;5;231;48;5;16m";
const RESET: &str = "\x1b[0m";
