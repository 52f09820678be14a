/** What tests measured, kept for the table at the end of a run. */

import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { artifacts } from './places.js';

const file = path.join(artifacts, 'measures.jsonl');

/** Keeps one measure. */
export function keep(measure) {
  mkdirSync(artifacts, { recursive: true });
  appendFileSync(file, `${JSON.stringify(measure)}\n`);
}

/** Everything that was kept in this run. */
export function kept() {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

/** Forgets an earlier run. */
export function forget() {
  rmSync(file, { force: true });
}

/** The value below which this share of `values` lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
