/** The vectors of RFC 9605, appendix C, through the module that a page loads, and against WebCrypto as a second opinion. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';

import { load } from './module.js';

const source = readFileSync(new URL('../../../e2ee/tests/vectors/rfc9605.json', import.meta.url), 'utf8');
// Numbers of 64 bits would be rounded.
const VECTORS = JSON.parse(source.replace(/"(kid|ctr)": (\d+)/g, '"$1": "$2"'));
const hex = (text) => Buffer.from(text, 'hex');
const text = (bytes) => Buffer.from(bytes).toString('hex');

let module;
before(async () => (module = await load()));

test('suite 4 seals to the vector and opens from it', () => {
  const vector = VECTORS.sframe.find(({ cipher_suite }) => cipher_suite === 4);
  const [base, metadata, plain, sframe] = ['base_key', 'metadata', 'pt', 'ct'].map((name) =>
    hex(vector[name]),
  );
  assert.equal(
    text(module.sealVector(base, BigInt(vector.kid), BigInt(vector.ctr), metadata, plain)),
    vector.ct,
  );
  assert.equal(text(module.openVector(base, metadata, sframe)), vector.pt);
  for (let bit = 0; bit < sframe.length * 8; bit += 1) {
    const bent = Buffer.from(sframe);
    bent[bit >> 3] ^= 1 << (bit & 7);
    assert.equal(module.openVector(base, metadata, bent), undefined, `bit ${bit} is changed`);
  }
  assert.equal(module.openVector(base, metadata.subarray(1), sframe), undefined, 'other metadata');
  assert.equal(module.openVector(base.subarray(1), metadata, sframe), undefined, 'another key');
});

test('every header is written and read as in the vectors', () => {
  assert.equal(VECTORS.header.length, 289);
  const [base, metadata, plain] = [Buffer.alloc(16, 7), Buffer.from('metadata'), Buffer.from('plain')];
  for (const { kid, ctr, encoded } of VECTORS.header) {
    const sframe = module.sealVector(base, BigInt(kid), BigInt(ctr), metadata, plain);
    assert.equal(text(sframe.subarray(0, -plain.length - 16)), encoded);
    assert.equal(text(module.openVector(base, metadata, sframe)), text(plain), encoded);
  }
});

test('WebCrypto opens what the module sealed, at every length around a block and a batch of blocks', async () => {
  const vector = VECTORS.sframe.find(({ cipher_suite }) => cipher_suite === 4);
  const [base, metadata] = [hex(vector.base_key), hex(vector.metadata)];
  const key = await crypto.subtle.importKey('raw', hex(vector.sframe_key), 'AES-GCM', false, ['decrypt']);
  const header = hex(vector.aad).subarray(0, -metadata.length);
  const lengths = [...Array(140).keys(), 1_000, 4_095, 65_537, 200_000];
  for (const length of lengths) {
    const plain = Uint8Array.from({ length }, (_, at) => at * 31);
    const sframe = module.sealVector(base, BigInt(vector.kid), BigInt(vector.ctr), metadata, plain);
    const body = sframe.subarray(header.length);
    const opened = await crypto.subtle.decrypt(
      {
        name: 'AES-GCM',
        iv: hex(vector.nonce),
        additionalData: hex(vector.aad),
      },
      key,
      body,
    );
    assert.ok(Buffer.from(opened).equals(plain), `${length} bytes`);
    assert.ok(Buffer.from(module.openVector(base, metadata, sframe)).equals(plain), `${length} bytes`);
  }
});
