/** The story of a connection: which steps between opening a camera and its picture are done, when, and why one is not. */

import type { Step } from './generated/face.ts';

/** One step and how it stands. */
export interface StepState {
  step: Step;
  /** Milliseconds since the present connection was begun; undefined while it is not done. */
  doneAfter: number | undefined;
  /** Why it is not done yet, where that is known. */
  reason: string | undefined;
}

/** All steps in order. A new value for each change. */
export type Story = readonly StepState[];

/** Every step, in order. */
export const STEPS: readonly Step[] = [
  'signalling',
  'relay',
  'ice',
  'dtls',
  'firstPacket',
  'keyKnown',
  'firstFrame',
];

/** A story that has just begun. */
export function newStory(): Story {
  return STEPS.map((step) => ({ step, doneAfter: undefined, reason: undefined }));
}

/**
 * Marks a step done. A step once done keeps its time. The first frame is the proof of all steps before it: one of which
 * nobody said a word, such as a key that was known already, is done with it.
 */
export function done(story: Story, step: Step, ms: number): Story {
  return story.map((state) =>
    state.step === step || step === 'firstFrame'
      ? { step: state.step, doneAfter: state.doneAfter ?? ms, reason: undefined }
      : state,
  );
}

/** Notes why a step is not done. A step once done stays done. */
export function trying(story: Story, step: Step, reason: string): Story {
  return changed(story, step, (state) => (state.doneAfter === undefined ? { ...state, reason } : state));
}

/** Forgets the steps from `step` on: the connection is made anew for this reason. */
export function againFrom(story: Story, step: Step, reason: string): Story {
  const first = STEPS.indexOf(step);
  return story.map((state, index) =>
    index < first
      ? state
      : { step: state.step, doneAfter: undefined, reason: index === first ? reason : undefined },
  );
}

/** The first step that is not done; undefined when the story has ended well. */
export function openStep(story: Story): StepState | undefined {
  return story.find((state) => state.doneAfter === undefined);
}

function changed(story: Story, step: Step, change: (state: StepState) => StepState): Story {
  return story.map((state) => (state.step === step ? change(state) : state));
}
