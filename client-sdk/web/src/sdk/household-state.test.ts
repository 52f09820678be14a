/** What a page knows of its household after each event. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Device, Event } from './generated/face.ts';
import type { HouseholdState } from './household-state.ts';
import { UNKNOWN, after, withDevices } from './household-state.ts';

const device = (id: string, name: string, more: Partial<Device> = {}): Device => ({
  id,
  name,
  role: 'viewer',
  rights: ['see'],
  cameras: null,
  since: 0,
  ends: null,
  this: false,
  ...more,
});

const MEMBER: HouseholdState = {
  ...UNKNOWN,
  standing: {
    is: 'member',
    household: 'h',
    device: 'me',
    name: 'phone',
    role: 'viewer',
    server: 'https://a',
  },
};

const all = (events: readonly Event[], from = MEMBER): HouseholdState =>
  events.reduce((state, event) => after(state, event, 1_000), from);

test('role and name follow the list, and a device that is off the list has no role', () => {
  const named = withDevices(MEMBER, 3, [device('me', 'Ada', { this: true, role: 'admin' })]);
  assert.deepEqual(named.standing, { ...MEMBER.standing, name: 'Ada', role: 'admin' });
  const gone = all(
    [{ event: 'listChanged', devices: { listVersion: 4, devices: [device('x', 'other')] } }],
    named,
  );
  assert.equal(gone.standing?.is === 'member' ? gone.standing.role : 'none', null);
  assert.equal(gone.listVersion, 4);
});

test('the same alarm twice is one that was said twice', () => {
  const alarm: Event = { event: 'alarm', session: null, code: 'group-forked', text: 'look' };
  const state = all([alarm, { ...alarm, code: 'delayed' }, alarm]);
  assert.deepEqual(
    state.alarms.map(({ code, times }) => [code, times]),
    [
      ['group-forked', 2],
      ['delayed', 1],
    ],
  );
  assert.equal(new Set(state.alarms.map(({ id }) => id)).size, 2);
});

test('a removal is told per camera, first pending, then at its epoch', () => {
  const listed = withDevices(MEMBER, 3, [device('tab', 'tablet')]);
  const at = (camera: string, epoch: number | null): Event => ({
    event: 'removal',
    device: 'tab',
    camera,
    cameraName: camera,
    epoch,
    reason: epoch === null ? 'it is off' : null,
  });
  const state = all([at('door', null), at('garden', 8), at('door', 42)], listed);
  assert.equal(state.removals.length, 1);
  assert.equal(state.removals[0]?.name, 'tablet');
  assert.deepEqual(
    state.removals[0]?.cameras.map(({ camera, epoch }) => [camera, epoch]),
    [
      ['door', 42],
      ['garden', 8],
    ],
  );
});

test('an arrival that is listed is a member from then on', () => {
  const standing = { ...MEMBER.standing } as Extract<HouseholdState['standing'], { is: 'member' }>;
  const state = all([{ event: 'arrival', stage: { is: 'listed', standing } }], {
    ...UNKNOWN,
    standing: { is: 'nobody' },
  });
  assert.deepEqual(state.standing, standing);
});
