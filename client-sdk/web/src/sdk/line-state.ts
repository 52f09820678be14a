/** What a watch and a camera have in common: a session whose story, watchers and epoch the worker tells of. Pure. */

import type { Event as WorkerEvent, Watcher } from './generated/face.ts';
import type { Story } from './story.ts';
import { done, newStory, trying } from './story.ts';

/** What is known of the line to the relay and of the camera's group. */
export interface LineState {
  story: Story;
  /** When the present connection was begun, in milliseconds of the story's clock. */
  since: number;
  watchers: readonly Watcher[];
  /** The MLS epoch, and how many devices hold its keys; undefined before it is known. */
  epoch: { number: number; members: number } | undefined;
}

/** A line that has just begun. */
export function newLine(): LineState {
  return { story: newStory(), since: 0, watchers: [], epoch: undefined };
}

/** Returns whether an event tells of this session. */
export function isOf(event: WorkerEvent, session: number): boolean {
  return 'session' in event && event.session === session;
}

/** Returns the state after an event of its session; one that tells nothing of the line changes nothing. */
export function lineAfter<State extends LineState>(state: State, event: WorkerEvent): State {
  switch (event.event) {
    case 'stepDone':
      return { ...state, story: done(state.story, event.step, Math.max(0, event.ms - state.since)) };
    case 'trying':
      return { ...state, story: trying(state.story, event.step, event.reason) };
    case 'newEpoch':
      return { ...state, epoch: { number: event.epoch, members: event.members } };
    case 'watching':
      return { ...state, watchers: event.devices };
    default:
      return state;
  }
}
