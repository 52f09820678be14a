/** What is known of a camera while it is watched, and how the worker's events change it. Pure. */

import type { Authenticity, Event as WorkerEvent, Figures, Watcher } from './generated/face.ts';
import type { VideoCodec } from './sdp.ts';
import type { Story } from './story.ts';
import { done, newStory, openStep, trying } from './story.ts';

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
export interface ViewerState {
  phase: Phase;
  story: Story;
  /** When the present connection was begun, in milliseconds of the story's clock. */
  since: number;
  picture: Picture | undefined;
  figures: Figures | undefined;
  /** What the camera's signature says about the frames of the moment. */
  authenticity: Authenticity;
  /** The camera's own answer proves the picture to be of now; null while it has not answered. */
  fresh: boolean | null;
  watchers: readonly Watcher[];
  /** The MLS epoch, and how many devices hold its keys; undefined before it is known. */
  epoch: { number: number; members: number } | undefined;
  /** The newest sentence that stops nothing. */
  note: string | undefined;
  /** How often the connection was made anew. */
  reconnects: number;
}

/** A viewer that has just begun. */
export function newViewer(): ViewerState {
  return {
    phase: { is: 'connecting' },
    story: newStory(),
    since: 0,
    picture: undefined,
    figures: undefined,
    authenticity: 'notVerified',
    fresh: null,
    watchers: [],
    epoch: undefined,
    note: undefined,
    reconnects: 0,
  };
}

/** Returns the state after an event of this viewer's session; others change nothing. */
export function viewerAfter(state: ViewerState, session: number, event: WorkerEvent): ViewerState {
  if (!('session' in event) || event.session !== session) return state;
  switch (event.event) {
    case 'stepDone': {
      const story = done(state.story, event.step, Math.max(0, event.ms - state.since));
      const live = openStep(story) === undefined && !isOver(state.phase);
      return { ...state, story, phase: live ? { is: 'live' } : state.phase };
    }
    case 'trying':
      return { ...state, story: trying(state.story, event.step, event.reason) };
    case 'newEpoch':
      return { ...state, epoch: { number: event.epoch, members: event.members } };
    case 'watching':
      return { ...state, watchers: event.devices };
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
      return state;
  }
}

/** Whether nothing more comes of it. */
export function isOver(phase: Phase): boolean {
  return phase.is === 'ended' || phase.is === 'unplayable';
}
