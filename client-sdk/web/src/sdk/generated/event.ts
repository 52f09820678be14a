/** Made from client-sdk/wasm/src/face/event.rs: `make wasm-types` writes it anew. */

import type { Admitted } from './admit.ts';
import type { Devices } from './devices.ts';
import type { ArrivalStage } from './enrol.ts';
import type { Figures, SendingFigures } from './figures.ts';
import type { Step, Watcher } from './session.ts';

/**
 * What the worker tells by itself.
 */
export type Event = { "event": "listChanged", 
/**
 * The devices now.
 */
devices: Devices, } | { "event": "notice", 
/**
 * Stable name of the kind of change.
 */
code: string, 
/**
 * The sentence.
 */
text: string, } | { "event": "alarm", 
/**
 * The watch or camera it came up in; `null` for the household.
 */
session: number | null, 
/**
 * Stable name of the kind of alarm.
 */
code: string, 
/**
 * What was seen, what it may mean, what to do.
 */
text: string, } | { "event": "arrival", 
/**
 * How far it is.
 */
stage: ArrivalStage, } | { "event": "invite", 
/**
 * The device that joined; `null` when nobody did.
 */
admitted: Admitted | null, 
/**
 * Why nobody joined.
 */
reason: string | null, } | { "event": "removal", 
/**
 * The device that was removed.
 */
device: string, 
/**
 * The camera.
 */
camera: string, 
/**
 * The camera's name.
 */
cameraName: string, 
/**
 * The epoch from which on the device opens nothing more; `null` while that is pending.
 */
epoch: number | null, 
/**
 * Why it is pending.
 */
reason: string | null, } | { "event": "stepDone", 
/**
 * Whose.
 */
session: number, 
/**
 * Which.
 */
step: Step, 
/**
 * Milliseconds since the story began.
 */
ms: number, } | { "event": "trying", 
/**
 * Whose.
 */
session: number, 
/**
 * Which.
 */
step: Step, 
/**
 * Why not yet.
 */
reason: string, } | { "event": "newEpoch", 
/**
 * Whose.
 */
session: number, 
/**
 * The MLS epoch.
 */
epoch: number, 
/**
 * How many devices hold its keys, the camera among them.
 */
members: number, } | { "event": "epochRecord", 
/**
 * Whose.
 */
session: number, 
/**
 * The epoch that began.
 */
epoch: number, 
/**
 * The list that it rests on.
 */
listVersion: number, } | { "event": "watching", 
/**
 * Of which watch or camera.
 */
session: number, 
/**
 * The devices.
 */
devices: Array<Watcher>, } | { "event": "figures", 
/**
 * Whose.
 */
session: number, 
/**
 * The figures.
 */
figures: Figures, } | { "event": "sending", 
/**
 * Whose.
 */
session: number, 
/**
 * The figures.
 */
figures: SendingFigures, } | { "event": "sealing", 
/**
 * Whose.
 */
session: number, 
/**
 * What it waits for; `null` when it seals.
 */
stopped: string | null, } | { "event": "note", 
/**
 * Whose; `null` for the household.
 */
session: number | null, 
/**
 * The sentence.
 */
text: string, } | { "event": "ended", 
/**
 * Which.
 */
session: number, 
/**
 * Why.
 */
reason: string, };
