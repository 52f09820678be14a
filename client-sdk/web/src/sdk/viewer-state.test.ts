/** What becomes of a viewer's and a camera's state when the worker tells something. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Event, Figures } from './generated/face.ts';
import { newPublisher, publisherAfter } from './publisher-state.ts';
import { STEPS, againFrom, done, newStory, openStep, trying } from './story.ts';
import { newViewer, viewerAfter } from './viewer-state.ts';
import type { ViewerState } from './viewer-state.ts';

const steps = (session: number): Event[] =>
  STEPS.map((step, index) => ({ event: 'stepDone', session, step, ms: index * 10 }));

test('a viewer is live when every step is done, and not before', () => {
  const all = steps(4);
  const most = all.slice(0, -1).reduce((state, event) => viewerAfter(state, 4, event), newViewer());
  assert.equal(most.phase.is, 'connecting');
  assert.equal(openStep(most.story)?.step, 'firstFrame');
  const live = all.reduce((state, event) => viewerAfter(state, 4, event), newViewer());
  assert.equal(live.phase.is, 'live');
});

test('a frame that opened proves the key, also when nobody said a word of it', () => {
  const relay = againFrom(
    steps(4).reduce((state, event) => viewerAfter(state, 4, event), newViewer()).story,
    'relay',
    'no packet for 1.2 s',
  );
  const again: ViewerState = { ...newViewer(), story: relay, phase: { is: 'again', reason: '' } };
  const live = steps(4)
    .filter((event) => event.event === 'stepDone' && event.step !== 'keyKnown')
    .reduce((state, event) => viewerAfter(state, 4, event), again);
  assert.equal(live.phase.is, 'live');
  assert.equal(openStep(live.story), undefined);
});

test('after a reconnection, steps are timed from its begin', () => {
  const again = { ...newViewer(), since: 14_000 };
  const after = viewerAfter(again, 4, { event: 'stepDone', session: 4, step: 'relay', ms: 14_084 });
  assert.equal(after.story[1]?.doneAfter, 84);
  const early = viewerAfter(again, 4, { event: 'stepDone', session: 4, step: 'ice', ms: 13_990 });
  assert.equal(early.story[2]?.doneAfter, 0);
});

test('events of other sessions and of the household change nothing', () => {
  const before = newViewer();
  assert.equal(
    steps(5).reduce((state, event) => viewerAfter(state, 4, event), before),
    before,
  );
  assert.equal(viewerAfter(before, 4, { event: 'notice', code: 'x', text: 'y' }), before);
});

test('a viewer that was ended shows nothing more, whatever comes', () => {
  const ended: Event = { event: 'ended', session: 4, reason: 'this device was removed' };
  const after = [...steps(4), ended, ...steps(4)].reduce(
    (state, event) => viewerAfter(state, 4, event),
    newViewer(),
  );
  assert.deepEqual(after.phase, { is: 'ended', reason: 'this device was removed' });
  assert.equal(after.picture, undefined);
});

test('the verdicts of the figures become the badge', () => {
  const figures: Figures = {
    openedVideo: 1,
    openedAudio: 0,
    failed: [],
    fps: 30,
    bitsPerSecond: 1,
    ageMs: 61,
    signed: 0,
    unverified: 0,
    forged: 1,
    authenticity: 'forged',
    live: false,
    blind: false,
  };
  const after = viewerAfter(newViewer(), 4, { event: 'figures', session: 4, figures });
  assert.equal(after.authenticity, 'forged');
  assert.equal(after.fresh, false);
});

test('a step is done once, tried until then, and forgotten when the connection is made anew', () => {
  let story = trying(newStory(), 'relay', 'the camera is not sending now');
  assert.equal(story[1]?.reason, 'the camera is not sending now');
  story = done(done(story, 'signalling', 5), 'relay', 81);
  story = trying(done(story, 'relay', 900), 'relay', 'late');
  assert.deepEqual(story[1], { step: 'relay', doneAfter: 81, reason: undefined });
  story = againFrom(done(story, 'ice', 90), 'relay', 'no packet for 1.2 s');
  assert.deepEqual(openStep(story), { step: 'relay', doneAfter: undefined, reason: 'no packet for 1.2 s' });
  assert.equal(story[0]?.doneAfter, 5);
  assert.equal(story[2]?.doneAfter, undefined);
});

test('a camera says what it waits for, and goes on', () => {
  const stopped = publisherAfter(newPublisher(), 2, {
    event: 'sealing',
    session: 2,
    stopped: 'a guest’s time is over',
  });
  assert.equal(stopped.sealingStopped, 'a guest’s time is over');
  const on = publisherAfter(stopped, 2, { event: 'sealing', session: 2, stopped: null });
  assert.equal(on.sealingStopped, null);
  const sending = steps(2).reduce((state, event) => publisherAfter(state, 2, event), on);
  assert.equal(sending.phase.is, 'sending');
});
