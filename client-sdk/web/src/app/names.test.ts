/** Names inside sentences. */

import { strict as assert } from 'node:assert';
import { test } from 'node:test';

import { quoted } from './names.ts';

test('a name stands in quotation marks, and as it is', () => {
  assert.equal(quoted('Front door'), '“Front door”');
  assert.equal(quoted('玄関 📷'), '“玄関 📷”');
});

test('a name from right to left does not turn the sentence around', () => {
  assert.equal(quoted('כניסה ראשית'), '“\u2068כניסה ראשית\u2069”');
  assert.equal(quoted('الباب (2)'), '“\u2068الباب (2)\u2069”');
});
