/** The Latchkey SDK: a household, its cameras, and what is watched and sent. Keys stay in its worker. */

export { Camera } from './camera.ts';
export { Household } from './household.ts';
export { Failure } from './link.ts';
export { whyNoPasskey } from './passkey.ts';
export { Publisher } from './publisher.ts';
export { Viewer } from './viewer.ts';
export { startWorker } from './start.ts';
export type { Locked } from './household.ts';
export type { HouseholdState, InviteEnd, Removal, RemovalAt, Said } from './household-state.ts';
export type { PublisherOptions } from './publisher.ts';
export type { PublisherPhase, PublisherState } from './publisher-state.ts';
export type { Codec, VideoCodec } from './sdp.ts';
export type { StepState, Story } from './story.ts';
export type { Phase, Picture, ViewerState } from './viewer-state.ts';
export type {
  Admitted,
  ArrivalStage,
  Authenticity,
  Device,
  DigitsVerdict,
  Kind,
  Member,
  Met,
  Right,
  Role,
  SafetyNumber,
  Standing,
  Step,
  Terms,
  Watcher,
} from './generated/face.ts';
