//! A table of text: columns that are as wide as they must be, and together no wider than the terminal.

use crate::report::table::{Look, Paint};

/// Between two columns.
const GAP: usize = 2;

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its head, one or two lines.
    pub(super) head: &'static str,
    /// Whether it is words; numbers stand at the right.
    pub(super) words: bool,
    /// How soon it is left out where there is no room: the highest first, 0 never.
    pub(super) spare: u8,
}

/// A field of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// What it says.
    pub(super) text: String,
    /// How it is painted.
    pub(super) tone: Tone,
}

/// How words are painted, where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// As they are.
    #[default]
    Bare,
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// It cannot be told.
    Open,
    /// Of less weight.
    Quiet,
    /// Of more weight.
    Strong,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Tone {
    /// Returns the text in this tone.
    pub(super) fn paint(self, text: &str, paint: Paint) -> String {
        let code = match self {
            _ if paint == Paint::Plain => return text.to_owned(),
            Self::Bare => return text.to_owned(),
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Open => "33",
            Self::Quiet => "2",
            Self::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Cell {
    /// Returns a field.
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        // A narrow space is no wider than others on a terminal, and not in every font.
        Self {
            text: text.into().replace(['\u{202f}', '\u{a0}'], " ").replace(['\n', '\r', '\t', '\u{1b}'], " "),
            tone,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Bare)
    }
}

impl Grid {
    /// Returns a table without rows.
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; it has a field for each column.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Returns the table's lines; each ends with a line end.
    pub(super) fn text(&self, look: Look) -> String {
        let paint = look.paint;
        let mut widths: Vec<usize> = (0..self.columns.len()).map(|index| self.width(index)).collect();
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let total = |shown: &[usize], widths: &[usize]| {
            shown.iter().map(|index| widths[*index]).sum::<usize>() + GAP * shown.len().saturating_sub(1)
        };
        while total(&shown, &widths) > look.columns {
            let spare = shown.iter().copied().filter(|index| self.columns[*index].spare > 0);
            let Some(least) = spare.max_by_key(|index| self.columns[*index].spare) else { break };
            shown.retain(|index| *index != least);
        }
        let over = total(&shown, &widths).saturating_sub(look.columns);
        let widest = shown.iter().copied().filter(|index| self.columns[*index].words);
        if over > 0
            && look.cuts
            && let Some(widest) = widest.max_by_key(|index| widths[*index])
        {
            widths[widest] = widths[widest].saturating_sub(over).max(8);
        }
        let mut text = String::new();
        for line in 0..2 {
            let heads = shown.iter().map(|index| Cell::new(self.head(*index, line), Tone::Quiet));
            let heads: Vec<Cell> = heads.collect();
            if heads.iter().any(|head| !head.text.is_empty()) {
                self.line(&mut text, &shown, &heads.iter().collect::<Vec<_>>(), &widths, paint);
            }
        }
        for row in &self.rows {
            let cells: Vec<&Cell> = shown.iter().map(|index| &row[*index]).collect();
            self.line(&mut text, &shown, &cells, &widths, paint);
        }
        text
    }

    fn line(&self, text: &mut String, shown: &[usize], cells: &[&Cell], widths: &[usize], paint: Paint) {
        let start = text.len();
        for (place, (index, cell)) in shown.iter().zip(cells).enumerate() {
            let width = widths[*index];
            let told = clipped(&cell.text, width);
            let room = " ".repeat(width.saturating_sub(told.chars().count()));
            let painted = if told.is_empty() { told } else { cell.tone.paint(&told, paint) };
            if place > 0 {
                text.push_str(&" ".repeat(GAP));
            }
            let (before, after) =
                if self.columns[*index].words { ("", room.as_str()) } else { (room.as_str(), "") };
            text.extend([before, painted.as_str(), after]);
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }

    fn width(&self, index: usize) -> usize {
        let heads = self.columns[index].head.lines().map(|line| line.chars().count());
        let cells = self.rows.iter().map(|row| row[index].text.chars().count());
        heads.chain(cells).max().unwrap_or(0)
    }

    /// Returns a line of a head; a head of one line stands in the second.
    fn head(&self, index: usize, line: usize) -> &'static str {
        let mut lines = self.columns[index].head.lines();
        match (lines.next(), lines.next(), line) {
            (Some(first), Some(_), 0) => first,
            (_, Some(second), 1) => second,
            (Some(only), None, 1) => only,
            _ => "",
        }
    }
}

/// Returns a text in lines no wider than a terminal; all but the first begin with so many spaces.
pub(super) fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    let mut lines = String::new();
    let mut width = indent;
    for word in Cell::new(text, Tone::Bare).text.split_whitespace() {
        let long = word.chars().count();
        if width > indent && width + 1 + long > columns {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            width = indent;
        } else if width > indent {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += long;
    }
    lines
}

fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let head: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 100;

    fn column(head: &'static str, words: bool, spare: u8) -> Column {
        Column { head, words, spare }
    }

    #[test]
    fn a_table_is_no_wider_than_a_terminal() {
        let mut grid =
            Grid::new(vec![column("name", true, 0), column("a\nb", false, 0), column("spare", false, 1)]);
        grid.row(vec!["x".repeat(140).into(), "12".to_owned().into(), "7".to_owned().into()]);
        let text = grid.text(Paint::Plain.into());
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(!text.contains("spare") && text.contains("12"), "{text}");
        let narrow = grid.text(Look { columns: 60, ..Look::from(Paint::Plain) });
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        let piped = grid.text(Look { cuts: false, ..Look::from(Paint::Plain) });
        assert!(piped.contains(&"x".repeat(140)), "{piped}");
    }

    #[test]
    fn numbers_stand_at_the_right_and_colours_do_not_move_them() {
        let mut grid = Grid::new(vec![column("word", true, 0), column("number", false, 0)]);
        grid.row(vec!["a".to_owned().into(), Cell::new("5", Tone::Bad)]);
        assert_eq!(grid.text(Paint::Plain.into()), "word  number\na          5\n");
        assert_eq!(
            grid.text(Paint::Colours.into()).lines().last(),
            Some("a          \u{1b}[1;31m5\u{1b}[0m")
        );
    }

    #[test]
    fn long_sentences_are_broken_between_words() {
        let told = wrapped(&"word ".repeat(50), 4, WIDTH);
        assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
        assert!(told.lines().skip(1).all(|line| line.starts_with("    word")), "{told}");
    }
}
