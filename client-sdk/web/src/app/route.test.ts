/** Addresses and pages. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { addressOf, inviteIn, inviteLink, routeOf } from './route.ts';

test('every page has an address that leads back to it', () => {
  for (const page of [
    'cameras',
    'devices',
    'add',
    'safety',
    'settings',
    'found',
    'join',
    'recover',
  ] as const) {
    assert.deepEqual(routeOf(addressOf({ page })), { page });
  }
  assert.deepEqual(routeOf(addressOf({ page: 'camera', id: 'Zg-_1' })), { page: 'camera', id: 'Zg-_1' });
  assert.deepEqual(routeOf(''), { page: 'cameras' });
  assert.deepEqual(routeOf('#/nowhere'), { page: 'cameras' });
  assert.deepEqual(routeOf('#/camera/'), { page: 'cameras' });
});

test('a link carries its invite behind #, and a page’s address is none', () => {
  const link = inviteLink('https://a.example/app/?x=1#/add', 'latchkey1-abc_-');
  assert.equal(link, 'https://a.example/app/#latchkey1-abc_-');
  assert.equal(inviteIn(new URL(link).hash), 'latchkey1-abc_-');
  assert.equal(inviteIn('#latchkey1%2Dabc'), 'latchkey1-abc');
  assert.equal(inviteIn('#%zz'), '%zz');
  assert.equal(inviteIn('#/devices'), undefined);
  assert.equal(inviteIn(''), undefined);
});
