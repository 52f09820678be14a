/** After the build: puts SRI hashes into the page, writes integrity.json, and prints the hash of every file. */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';

import { files, folder } from './built.js';

const sri = (bytes) => `sha384-${createHash('sha384').update(bytes).digest('base64')}`;

const before = files().filter(({ path }) => path !== 'integrity.json');
const page = before.find(({ path }) => path === 'index.html');
if (!page) throw new Error(`${folder} has no index.html: run npm run build`);

const hashes = new Map(before.map(({ path, bytes }) => [path, sri(bytes)]));
const html = page.bytes
  .toString()
  .replace(/ integrity="[^"]*"/g, '')
  .replace(/<(script|link)\b[^>]*>/g, (tag, name) => {
    const runs = name === 'script' || /rel="(stylesheet|modulepreload)"/.test(tag);
    const address = /\b(?:src|href)="([^"]+)"/.exec(tag)?.[1];
    if (!runs || address === undefined) return tag;
    const hash = hashes.get(posix.normalize(address));
    if (hash === undefined) throw new Error(`${address} in index.html is not part of the build`);
    return tag.replace(/>$/, ` integrity="${hash}">`);
  });
if (/<script(?![^>]*\bsrc=)/.test(html) || /<style|\sstyle=|\son\w+=/.test(html)) {
  throw new Error('index.html holds inline code or style: a strict Content-Security-Policy would block it');
}
writeFileSync(join(folder, 'index.html'), html);

const all = Object.fromEntries(
  files()
    .filter(({ path }) => path !== 'integrity.json')
    .map(({ path, bytes }) => [path, sri(bytes)]),
);
writeFileSync(join(folder, 'integrity.json'), `${JSON.stringify(all, null, 2)}\n`);
for (const [path, hash] of Object.entries(all)) console.log(`${hash}  ${path}`);
