/** What is known of a camera while it is watched, and how the worker's events change it. Pure. */

import type { Authenticity, Event as WorkerEvent, Figures } from './generated/face.ts';
import { isOf, lineAfter, newLine } from './line-state.ts';
import type { LineState } from './line-state.ts';
import type { VideoCodec } from './sdp.ts';
import { openStep } from './story.ts';

/** How a viewer stands. */
export type Phase =
  /** There has been no picture yet. */
  | { is: 'connecting' }
  /** Pictures come and open. */
  | { is: 'live' }
  /** There was a picture; what shows is old. */
  | { is: 'again'; reason: string }
  /** The camera sends a codec that this browser cannot play. */
  | { is: 'unplayable'; codec: VideoCodec }
  /** It is over: this device was removed, or nobody looks any more. */
  | { is: 'ended'; reason: string };

/** What people read about picture and line. */
export interface Picture {
  width: number;
  height: number;
  fps: number;
  /** From the camera's clock to this screen, in milliseconds; undefined before the first frame. */
  latencyMs: number | undefined;
  jitterMs: number;
  packetsLost: number;
  freezes: number;
}

/** What is known of a camera while it is watched. */
export interface ViewerState extends LineState {
  phase: Phase;
  picture: Picture | undefined;
  figures: Figures | undefined;
  /** What the camera's signature says about the frames of the moment. */
  authenticity: Authenticity;
  /** The camera's own answer proves the picture to be of now; null while it has not answered. */
  fresh: boolean | null;
  /** The newest sentence that stops nothing. */
  note: string | undefined;
  /** How often the connection was made anew. */
  reconnects: number;
}

/** A viewer that has just begun. */
export function newViewer(): ViewerState {
  return {
    ...newLine(),
    phase: { is: 'connecting' },
    picture: undefined,
    figures: undefined,
    authenticity: 'notVerified',
    fresh: null,
    note: undefined,
    reconnects: 0,
  };
}

/** Returns the state after an event of this viewer's session; others change nothing. */
export function viewerAfter(state: ViewerState, session: number, event: WorkerEvent): ViewerState {
  if (!isOf(event, session)) return state;
  switch (event.event) {
    case 'stepDone': {
      const after = lineAfter(state, event);
      const live = openStep(after.story) === undefined && !isOver(after.phase);
      return live ? { ...after, phase: { is: 'live' } } : after;
    }
    case 'figures':
      return {
        ...state,
        figures: event.figures,
        authenticity: event.figures.authenticity,
        fresh: event.figures.live,
      };
    case 'note':
      return { ...state, note: event.text };
    case 'ended':
      // What was known of this moment is known no more.
      return {
        ...state,
        phase: { is: 'ended', reason: event.reason },
        picture: undefined,
        figures: undefined,
        fresh: null,
        watchers: [],
      };
    default:
      return lineAfter(state, event);
  }
}

/** Whether nothing more comes of it. */
export function isOver(phase: Phase): boolean {
  return phase.is === 'ended' || phase.is === 'unplayable';
}
