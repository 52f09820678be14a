//! One pair of axes and what is drawn between them.

use maud::{Markup, html};

use crate::report::chart::labels::{Label, beside};
use crate::report::chart::scale::Scale;
use crate::report::chart::{LETTER, WIDTH, at};
use crate::report::number::tick;

/// A place that holds a drawing: left, right, top and bottom of the space between the axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// Left edge.
    pub(crate) left: f64,
    /// Right edge.
    pub(crate) right: f64,
    /// Top edge.
    pub(crate) top: f64,
    /// Bottom edge.
    pub(crate) bottom: f64,
}

/// A pair of axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    /// Where it lies.
    pub(crate) space: Space,
    x: Scale,
    y: Scale,
}

/// A point; x and y in the units of the axes.
pub(crate) type Point = (f64, f64);

impl Space {
    /// Returns the space of a figure, with room at the right for labels of so many letters.
    pub(crate) fn with_labels(letters: usize, top: f64, bottom: f64) -> Self {
        let room = (letters as f64 * LETTER + 8.0).clamp(14.0, 160.0);
        Self { left: 40.0, right: WIDTH - room, top, bottom }
    }
}

impl Panel {
    /// Returns a panel with these scales.
    pub(crate) fn new(space: Space, x: Scale, y: Scale) -> Self {
        let (x, y) = (x.onto(space.left, space.right), y.onto(space.bottom, space.top));
        Self { space, x, y }
    }

    /// Returns the place of a point.
    pub(crate) fn place(&self, (x, y): Point) -> Point {
        (self.x.place(x), self.y.place(y))
    }

    /// Returns quiet lines across, with their values at the left.
    pub(crate) fn rows(&self, count: usize) -> Markup {
        let Space { left, right, .. } = self.space;
        html! {
            @for value in self.y.ticks(count) {
                @let y = self.y.place(value);
                line.grid x1=(at(left)) x2=(at(right)) y1=(at(y)) y2=(at(y)) {}
                text.tick x=(at(left - 6.0)) y=(at(y + 3.8)) text-anchor="end" { (tick(value)) }
            }
        }
    }

    /// Returns the axis below, its values and its name, which stands at its right end.
    pub(crate) fn axis(&self, count: usize, name: &str) -> Markup {
        let Space { left, right, bottom, .. } = self.space;
        html! {
            line.axis x1=(at(left)) x2=(at(right)) y1=(at(bottom)) y2=(at(bottom)) {}
            @for value in self.x.ticks(count) {
                @let x = self.x.place(value);
                line.axis x1=(at(x)) x2=(at(x)) y1=(at(bottom)) y2=(at(bottom + 4.0)) {}
                text.tick x=(at(x)) y=(at(bottom + 15.5)) text-anchor="middle" { (tick(value)) }
            }
            text.name x=(at(right)) y=(at(bottom + 29.0)) text-anchor="end" { (name) }
        }
    }

    /// Returns a line through points; of one point a dot. Points that are no numbers are left out.
    pub(crate) fn line(&self, points: &[Point], class: &str) -> Markup {
        let path = self.path(points);
        html! {
            @if let [(x, y)] = path.as_slice() {
                circle class={ "dot f-" (class) } cx=(at(*x)) cy=(at(*y)) r="3" {}
            } @else if !path.is_empty() {
                polyline class={ "line " (class) } points=(joined(&path)) {}
            }
        }
    }

    /// Returns dots at points.
    pub(crate) fn dots(&self, points: &[Point], class: &str) -> Markup {
        html! {
            @for (x, y) in self.path(points) {
                circle class={ "dot f-" (class) } cx=(at(x)) cy=(at(y)) r="2.6" {}
            }
        }
    }

    /// Returns the surface between two lines; the lower one is the axis where it is empty.
    pub(crate) fn between(&self, upper: &[Point], lower: &[Point], class: &str) -> Markup {
        let upper = self.path(upper);
        let mut lower = self.path(lower);
        if lower.is_empty()
            && let (Some(first), Some(last)) = (upper.first(), upper.last())
        {
            lower = vec![(first.0, self.space.bottom), (last.0, self.space.bottom)];
        }
        let outline: Vec<Point> = upper.iter().copied().chain(lower.into_iter().rev()).collect();
        html! {
            @if upper.len() > 1 {
                polygon class={ "area f-" (class) } points=(joined(&outline)) {}
            }
        }
    }

    /// Returns labels for lines that end at these points.
    pub(crate) fn ends(&self, ends: Vec<(Point, String, &'static str)>) -> Markup {
        let ends = ends.into_iter().filter(|(end, _, _)| end.0.is_finite() && end.1.is_finite());
        let labels = ends.map(|(end, text, class)| Label { y: self.place(end).1, text, class }).collect();
        beside(self.space.right + 6.0, labels, self.space.top, self.space.bottom)
    }

    /// Returns a thin line upwards at `x`, with a word at its top, right of it.
    pub(crate) fn border(&self, x: f64, word: &str) -> Markup {
        let x = self.x.place(x);
        let Space { top, bottom, .. } = self.space;
        html! {
            line.border x1=(at(x)) x2=(at(x)) y1=(at(if word.is_empty() { top } else { top - 9.0 })) y2=(at(bottom)) {}
            @if !word.is_empty() {
                @let room = x + 3.0 + word.chars().count() as f64 * LETTER <= WIDTH;
                @if room { text.step x=(at(x + 3.0)) y=(at(top - 3.0)) { (word) } }
                @else { text.step x=(at(x - 3.0)) y=(at(top - 3.0)) text-anchor="end" { (word) } }
            }
        }
    }

    /// Returns a stretch of the axis below, shaded over the whole height.
    pub(crate) fn shade(&self, from: f64, to: f64) -> Markup {
        let (from, to) = (self.x.place(from), self.x.place(to));
        let Space { top, bottom, .. } = self.space;
        html! { rect.shade x=(at(from)) y=(at(top)) width=(at((to - from).max(0.0))) height=(at(bottom - top)) {} }
    }

    /// Returns a mark at the axis below, a triangle that points at `x`, with a sentence for who asks.
    pub(crate) fn mark(&self, x: f64, class: &str, sentence: &str) -> Markup {
        let (x, y) = (self.x.place(x), self.space.bottom);
        let points = [(x, y - 7.0), (x - 4.0, y), (x + 4.0, y)];
        html! { polygon class={ "mark " (class) } points=(joined(&points)) { title { (sentence) } } }
    }

    /// Returns a dashed line across at a bound, where it lies within the axis; what it is stands above the drawing.
    pub(crate) fn bound(&self, y: f64, word: &str) -> Markup {
        let Space { left, right, .. } = self.space;
        let place = self.y.place(y);
        html! {
            @if y <= self.y.high() && y > self.y.low() {
                line.bound x1=(at(left)) x2=(at(right)) y1=(at(place)) y2=(at(place)) {}
                line.bound x1=(at(left)) x2=(at(left + 20.0)) y1="6" y2="6" {}
                text.step x=(at(left + 25.0)) y="9.5" { (word) }
            }
        }
    }

    fn path(&self, points: &[Point]) -> Vec<Point> {
        let whole = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        whole.map(|point| self.place(*point)).collect()
    }
}

fn joined(points: &[Point]) -> String {
    let mut text = String::with_capacity(points.len() * 12);
    for (x, y) in points {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&at(*x));
        text.push(',');
        text.push_str(&at(*y));
    }
    text
}
