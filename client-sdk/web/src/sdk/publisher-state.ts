/** What is known of this device while it is a camera, and how the worker's events change it. Pure. */

import type { Event as WorkerEvent, SendingFigures } from './generated/face.ts';
import { isOf, lineAfter, newLine } from './line-state.ts';
import type { LineState } from './line-state.ts';
import type { Codec } from './sdp.ts';
import { openStep } from './story.ts';

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
export interface PublisherState extends LineState {
  phase: PublisherPhase;
  figures: SendingFigures | undefined;
  /** Codec of the picture that was agreed on; undefined before. */
  codec: Codec | undefined;
  /** The relay takes several sizes of the picture. */
  simulcast: boolean;
  /** Why nothing is sealed for now; null when frames are sealed. */
  sealingStopped: string | null;
}

/** A camera that has just begun. */
export function newPublisher(): PublisherState {
  return {
    ...newLine(),
    phase: { is: 'connecting' },
    figures: undefined,
    codec: undefined,
    simulcast: false,
    sealingStopped: null,
  };
}

/** Returns the state after an event of this camera's session; others change nothing. */
export function publisherAfter(state: PublisherState, session: number, event: WorkerEvent): PublisherState {
  if (!isOf(event, session)) return state;
  switch (event.event) {
    case 'stepDone': {
      const after = lineAfter(state, event);
      const sending = openStep(after.story) === undefined && after.phase.is !== 'ended';
      return sending ? { ...after, phase: { is: 'sending' } } : after;
    }
    case 'sending':
      return { ...state, figures: event.figures };
    case 'sealing':
      return { ...state, sealingStopped: event.stopped };
    case 'ended':
      return { ...state, phase: { is: 'ended', reason: event.reason } };
    default:
      return lineAfter(state, event);
  }
}
