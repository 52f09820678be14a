/** What is known of this device while it is a camera, and how the worker's events change it. Pure. */

import type { Event as WorkerEvent, SendingFigures, Watcher } from './generated/face.ts';
import type { Codec } from './sdp.ts';
import type { Story } from './story.ts';
import { done, newStory, openStep, trying } from './story.ts';

/** How a camera stands. */
export type PublisherPhase =
  /** Nothing was sent yet. */
  | { is: 'connecting' }
  /** Sealed frames go out. */
  | { is: 'sending' }
  /** The connection is made anew. */
  | { is: 'again'; reason: string }
  /** It is over. */
  | { is: 'ended'; reason: string };

/** What is known of this device while it is a camera. */
export interface PublisherState {
  phase: PublisherPhase;
  story: Story;
  /** When the present connection was begun, in milliseconds of the story's clock. */
  since: number;
  figures: SendingFigures | undefined;
  /** Codec of the picture that was agreed on; undefined before. */
  codec: Codec | undefined;
  /** The relay takes several sizes of the picture. */
  simulcast: boolean;
  watchers: readonly Watcher[];
  epoch: { number: number; members: number } | undefined;
  /** Why nothing is sealed for now; null when frames are sealed. */
  sealingStopped: string | null;
}

/** A camera that has just begun. */
export function newPublisher(): PublisherState {
  return {
    phase: { is: 'connecting' },
    story: newStory(),
    since: 0,
    figures: undefined,
    codec: undefined,
    simulcast: false,
    watchers: [],
    epoch: undefined,
    sealingStopped: null,
  };
}

/** Returns the state after an event of this camera's session; others change nothing. */
export function publisherAfter(state: PublisherState, session: number, event: WorkerEvent): PublisherState {
  if (!('session' in event) || event.session !== session) return state;
  switch (event.event) {
    case 'stepDone': {
      const story = done(state.story, event.step, Math.max(0, event.ms - state.since));
      const sending = openStep(story) === undefined && state.phase.is !== 'ended';
      return { ...state, story, phase: sending ? { is: 'sending' } : state.phase };
    }
    case 'trying':
      return { ...state, story: trying(state.story, event.step, event.reason) };
    case 'newEpoch':
      return { ...state, epoch: { number: event.epoch, members: event.members } };
    case 'watching':
      return { ...state, watchers: event.devices };
    case 'sending':
      return { ...state, figures: event.figures };
    case 'sealing':
      return { ...state, sealingStopped: event.stopped };
    case 'ended':
      return { ...state, phase: { is: 'ended', reason: event.reason } };
    default:
      return state;
  }
}
