/** The table of what was measured. */

import { BROWSERS } from './browsers.js';
import { kept, quantile } from './measures.js';

/** The table as lines of Markdown; empty when nothing was measured. */
export function table() {
  const measures = kept();
  const of = (what, browser, field) =>
    measures.filter((one) => one.what === what && one.browser === browser).map((one) => one[field]);
  const both = (values, digits = 0) =>
    values.length === 0
      ? '–'
      : `${quantile(values, 0.5).toFixed(digits)} / ${quantile(values, 0.95).toFixed(digits)} (${values.length})`;
  const rows = [
    ['click to first opened frame, ms', (name) => both(of('opens', name, 'ms'))],
    ['click to first picture, ms', (name) => both(of('joins', name, 'ms'))],
    [
      'right after joining: click to first opened frame, ms',
      (name) => both(of('newcomer opens', name, 'ms')),
    ],
    ['right after joining: click to first picture, ms', (name) => both(of('newcomer', name, 'ms'))],
    ['click to first picture, every kind of camera, clean, ms', (name) => both(of('first', name, 'ms'))],
    ['the same with 10 % loss, ms', (name) => both(of('first with loss', name, 'ms'))],
    ['opening a frame in the worker, µs', (name) => both(of('opening', name, 'micros'))],
    [
      'worker, % of one processor',
      (name) =>
        both(
          of('worker', name, 'share').map((share) => share * 100),
          1,
        ),
    ],
    ...[...new Set(measures.map(({ what }) => what).filter((what) => what.startsWith('back after')))].map(
      (what) => [`picture ${what}, ms`, (name) => both(of(what, name, 'ms'))],
    ),
  ].filter(([, cell]) => BROWSERS.some((name) => cell(name) !== '–'));
  if (rows.length === 0) return [];
  return [
    `| median / 95th percentile (how many) | ${BROWSERS.join(' | ')} |`,
    `|---|${BROWSERS.map(() => '---|').join('')}`,
    ...rows.map(([what, cell]) => `| ${what} | ${BROWSERS.map(cell).join(' | ')} |`),
  ];
}
