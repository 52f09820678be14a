/** What a page knows of its household, and how the worker's events change it. Pure. */

import type {
  Admitted,
  ArrivalStage,
  Camera,
  Device,
  Event as WorkerEvent,
  Standing,
} from './generated/face.ts';

/** Something that was said: a notice of a change, or an alarm. */
export interface Said {
  /** Counts up; names it in lists. */
  id: number;
  /** Stable name of its kind. */
  code: string;
  /** One sentence for people. */
  text: string;
  /** When it was last said, in milliseconds since the Unix epoch. */
  at: number;
  /** How often. */
  times: number;
}

/** How a removal goes at one camera. */
export interface RemovalAt {
  camera: string;
  cameraName: string;
  /** The epoch from which on the device opens nothing more; null while that is pending. */
  epoch: number | null;
  /** Why it is pending. */
  reason: string | null;
}

/** The removal of one device, at every camera it could see. */
export interface Removal {
  device: string;
  name: string;
  cameras: readonly RemovalAt[];
}

/** What came of an invite. */
export interface InviteEnd {
  admitted: Admitted | null;
  reason: string | null;
}

/** What a page knows of its household. */
export interface HouseholdState {
  /** Undefined until the worker has said it. */
  standing: Standing | undefined;
  /** Version of the newest verified list; 0 before there is one. */
  listVersion: number;
  devices: readonly Device[];
  /** Undefined until they were asked for. */
  cameras: readonly Camera[] | undefined;
  /** Newest first. */
  notices: readonly Said[];
  /** Newest first. */
  alarms: readonly Said[];
  /** Newest first. */
  removals: readonly Removal[];
  /** How far this device's own arrival is. */
  arrival: ArrivalStage | undefined;
  /** What came of the invite made last. */
  invite: InviteEnd | undefined;
}

/** Nothing is known yet. */
export const UNKNOWN: HouseholdState = {
  standing: undefined,
  listVersion: 0,
  devices: [],
  cameras: undefined,
  notices: [],
  alarms: [],
  removals: [],
  arrival: undefined,
  invite: undefined,
};

/** Returns the state after an event; `now` in milliseconds since the Unix epoch. */
export function after(state: HouseholdState, event: WorkerEvent, now: number): HouseholdState {
  switch (event.event) {
    case 'listChanged':
      return withDevices(state, event.devices.listVersion, event.devices.devices);
    case 'notice':
      return { ...state, notices: said(state.notices, event.code, event.text, now) };
    case 'alarm':
      return { ...state, alarms: said(state.alarms, event.code, event.text, now) };
    case 'arrival':
      return {
        ...state,
        arrival: event.stage,
        standing: event.stage.is === 'listed' ? event.stage.standing : state.standing,
      };
    case 'invite':
      return { ...state, invite: { admitted: event.admitted, reason: event.reason } };
    case 'removal':
      return { ...state, removals: removed(state, event) };
    default:
      return state;
  }
}

/** Returns the state with a newer list. This device's own role and name follow it. */
export function withDevices(
  state: HouseholdState,
  listVersion: number,
  devices: readonly Device[],
): HouseholdState {
  const me = devices.find((device) => device.this);
  const standing: Standing | undefined =
    state.standing?.is === 'member'
      ? { ...state.standing, name: me?.name ?? state.standing.name, role: me?.role ?? null }
      : state.standing;
  return { ...state, listVersion, devices, standing };
}

/** Returns what was said with one more; the same sentence said again counts up instead. */
function said(all: readonly Said[], code: string, text: string, at: number): readonly Said[] {
  const known = all.find((one) => one.code === code && one.text === text);
  if (known) {
    return [{ ...known, at, times: known.times + 1 }, ...all.filter((one) => one !== known)];
  }
  const id = Math.max(0, ...all.map((one) => one.id)) + 1;
  return [{ id, code, text, at, times: 1 }, ...all].slice(0, MOST_SAID);
}

function removed(
  state: HouseholdState,
  event: Extract<WorkerEvent, { event: 'removal' }>,
): readonly Removal[] {
  const known = state.removals.find((removal) => removal.device === event.device);
  const name = known?.name ?? state.devices.find((device) => device.id === event.device)?.name ?? '';
  const { camera, cameraName, epoch, reason } = event;
  const at: RemovalAt = { camera, cameraName, epoch, reason };
  const before = known?.cameras ?? [];
  const cameras = before.some((one) => one.camera === camera)
    ? before.map((one) => (one.camera === camera ? at : one))
    : [...before, at];
  const removal: Removal = { device: event.device, name, cameras };
  return [removal, ...state.removals.filter((one) => one !== known)];
}

/** Sentences kept of each kind. */
const MOST_SAID = 50;
