/** The bundled clip with a counter that machines read: a row of black and white blocks, drawn over it by ffmpeg. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { clips, target } from './places.js';

const run = promisify(execFile);

/** Width and height of the picture, and how many pictures a second. */
export const PICTURE = { width: 640, height: 360, fps: 25 };
/** How many frames until the clip begins anew. */
export const FRAMES = 250;

/** Left and upper edge of the row, and the side of a block, in pixels. */
const ROW = { x: 16, y: 288, side: 20 };
/** White and black to begin with, then the frame's number, highest bit last, then its parity, then white. */
const BITS = 12;
const BLOCKS = BITS + 4;

/** Middles of the blocks, in pixels of the whole picture. */
export const MIDDLES = Array.from({ length: BLOCKS }, (_, at) => ({
  x: ROW.x + ROW.side * at + ROW.side / 2,
  y: ROW.y + ROW.side / 2,
}));

/**
 * The clip as a file of this kind; made when it is first asked for.
 * @param {'h264' | 'vp8' | 'mjpeg'} kind
 */
export async function counted(kind) {
  const name = createHash('sha256').update(graph()).update(CODERS[kind].join(' ')).digest('hex').slice(0, 12);
  const folder = path.join(target, 'web-clips');
  const file = path.join(folder, `${name}${ENDINGS[kind]}`);
  if (existsSync(file)) return file;
  await mkdir(folder, { recursive: true });
  const draft = path.join(folder, `draft-${process.pid}${ENDINGS[kind]}`);
  const words = ['-hide_banner', '-loglevel', 'error', '-y', '-i', path.join(clips, 'doorbell.mp4')];
  await run('ffmpeg', [
    ...words,
    ...['-filter_complex', graph(), '-map', '[v]', '-frames:v', String(FRAMES)],
    ...CODERS[kind],
    draft,
  ]);
  await rename(draft, file);
  return file;
}

/**
 * The number in the blocks; undefined where there is none, or it is not whole.
 * @param {number[]} brightness of {@link MIDDLES}, 0 to 255
 */
export function numberIn(brightness) {
  const bits = brightness.map((value) => (value > 160 ? 1 : value < 96 ? 0 : undefined));
  if (bits.includes(undefined) || bits[0] !== 1 || bits[1] !== 0 || bits.at(-1) !== 1) return undefined;
  const number = bits.slice(2, 2 + BITS);
  const ones = number.reduce((sum, bit) => sum + bit, 0);
  if (ones % 2 !== bits[2 + BITS]) return undefined;
  return number.reduce((sum, bit, at) => sum + bit * 2 ** at, 0);
}

/** The numbers in a file that somebody wrote while watching, frame after frame. */
export async function numbersIn(file) {
  const { width, height } = PICTURE;
  const words = ['-hide_banner', '-loglevel', 'error', '-i', file, '-fps_mode', 'passthrough'];
  const { stdout } = await run(
    'ffmpeg',
    [
      ...words,
      '-vf',
      `scale=${width}:${height},crop=${ROW.side * BLOCKS}:${ROW.side}:${ROW.x}:${ROW.y},format=gray`,
      '-f',
      'rawvideo',
      '-',
    ],
    { encoding: 'buffer', maxBuffer: 1 << 28 },
  );
  const size = ROW.side * BLOCKS * ROW.side;
  return Array.from({ length: Math.floor(stdout.length / size) }, (_, frame) =>
    numberIn(MIDDLES.map(({ x, y }) => stdout[frame * size + (y - ROW.y) * ROW.side * BLOCKS + (x - ROW.x)])),
  );
}

/** Draws the blocks over the clip. */
function graph() {
  const at = `floor(X/${ROW.side})`;
  const bit = `mod(floor(N/pow(2,${at}-2)),2)`;
  const parity = Array.from({ length: BITS }, (_, power) => `mod(floor(N/${2 ** power}),2)`).join('+');
  const last = BLOCKS - 1;
  const white = `if(eq(${at},0)+eq(${at},${last}),1,if(eq(${at},1),0,if(eq(${at},${last - 1}),mod(${parity},2),${bit})))`;
  const row = `color=c=black:s=${ROW.side * BLOCKS}x${ROW.side}:r=${PICTURE.fps}:d=12,format=yuv420p`;
  return `${row},geq=lum='16+219*${white}':cb=128:cr=128[row];[0:v][row]overlay=${ROW.x}:${ROW.y}:shortest=1[v]`;
}

const CODERS = {
  h264: [
    ...['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'veryfast', '-bf', '0', '-refs', '1'],
    ...['-g', '50', '-keyint_min', '50', '-sc_threshold', '0', '-crf', '20', '-movflags', '+faststart'],
  ],
  vp8: [
    ...['-c:v', 'libvpx', '-b:v', '700k', '-g', '50', '-auto-alt-ref', '0', '-lag-in-frames', '0'],
    ...['-deadline', 'realtime', '-cpu-used', '4'],
  ],
  mjpeg: ['-c:v', 'mjpeg', '-q:v', '3', '-pix_fmt', 'yuvj420p', '-f', 'mjpeg'],
};
const ENDINGS = { h264: '.mp4', vp8: '.ivf', mjpeg: '.mjpeg' };
