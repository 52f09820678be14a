/** What the bundled clip shows, to tell its picture from any other. */

/** Places in the 640x360 picture, as shares of it, where nobody walks and nothing is written, and their colour. */
const PLACES = [
  { what: 'sky', x: 0.5, y: 0.02, colour: [22, 36, 64] },
  { what: 'lawn', x: 0.6, y: 0.96, colour: [47, 74, 51] },
  { what: 'wall', x: 0.95, y: 0.6, colour: [110, 75, 58] },
  { what: 'door', x: 0.84, y: 0.45, colour: [47, 127, 120] },
];

/** A grid fine enough for {@link wrongPlaces}. */
export const GRID = { columns: 64, rows: 36 };

/**
 * What in a grid of colours is not as the clip has it; empty for its picture.
 * @param {number[][]} pixels of {@link GRID}
 */
export function wrongPlaces(pixels) {
  return PLACES.flatMap(({ what, x, y, colour }) => {
    const seen = pixels[Math.floor(y * GRID.rows) * GRID.columns + Math.floor(x * GRID.columns)];
    const far = Math.max(...seen.map((value, at) => Math.abs(value - colour[at])));
    return far > TOLERANCE ? [`${what} is ${seen}, not ${colour}`] : [];
  });
}

/** Encoding, colour matrices and scaling move colours by this much at most. */
const TOLERANCE = 28;
