/** Made from client-sdk/wasm/src/face.rs: `make wasm-types` writes it anew. */

import type { Admitted, DigitsVerdict, InviteCode, LastGlance, LetIn, Met, Terms, TypedDigits } from './admit.ts';
import type { Cameras, Change, DeviceRef, Devices, ListSigned, Rename, SafetyNumber, Standing } from './devices.ts';
import type { Arrive, DigitsFit, Found, JoinByCode, NewHousehold, Recover, Waiting, Words } from './enrol.ts';
import type { Door, Session, TellStep, Watch, WatchCamera } from './session.ts';
export type * from './admit.ts';
export type * from './devices.ts';
export type * from './enrol.ts';
export type * from './event.ts';
export type * from './figures.ts';
export type * from './session.ts';

/**
 * Every call: `[argument, reply]` by its name.
 */
export type Calls = { 
/**
 * Loads what this browser keeps and says where it stands. The first call of every page.
 */
open: [Nothing, Standing], 
/**
 * Makes the keys of a new household, of which nobody is told yet. Show the words once and ask some back.
 */
prepareHousehold: [NewHousehold, Words], 
/**
 * Founds the prepared household with this device as its first admin.
 */
found: [Found, Standing], 
/**
 * Joins by the invite code or link that an admin made. Waits for the admin.
 */
join: [JoinByCode, Standing], 
/**
 * Shows this device to an admin, by a code to be scanned or a number to be typed; the event `arrival` tells the rest.
 */
arrive: [Arrive, Waiting], 
/**
 * Says whether the admin's device shows the same six digits.
 */
digitsFit: [DigitsFit, Nothing], 
/**
 * Becomes an admin of the household of these words.
 */
recover: [Recover, Standing], 
/**
 * Gives up waiting, inviting or letting in, whichever is under way. Nothing has happened then.
 */
cancel: [Nothing, Nothing], 
/**
 * Makes an invite code; the event `invite` tells what came of it.
 */
invite: [Terms, InviteCode], 
/**
 * Meets the new device whose code was scanned or whose number was typed.
 */
letIn: [LetIn, Met], 
/**
 * Types the digits that the new device shows.
 */
typeDigits: [TypedDigits, DigitsVerdict], 
/**
 * Invites the device that was met and waits for its yes. Nothing is signed yet.
 */
confirm: [Nothing, LastGlance], 
/**
 * Signs the list that has the device that said yes.
 */
admit: [Nothing, Admitted], 
/**
 * The newest verified list.
 */
devices: [Nothing, Devices], 
/**
 * Removes a device; the event `removal` tells when each camera has changed its keys.
 */
remove: [DeviceRef, ListSigned], 
/**
 * Gives a device another name.
 */
rename: [Rename, ListSigned], 
/**
 * Changes what a device may do, and until when.
 */
change: [Change, ListSigned], 
/**
 * Has a camera found its next group.
 */
renewCamera: [DeviceRef, ListSigned], 
/**
 * The sixty digits that all devices of the household show.
 */
safetyNumber: [Nothing, SafetyNumber], 
/**
 * The cameras this device may see.
 */
cameras: [Nothing, Cameras], 
/**
 * Erases everything this browser keeps of the household. It stays on the list until an admin removes it.
 */
forget: [Nothing, Nothing], 
/**
 * Begins to follow a camera's group and to open its frames.
 */
watch: [WatchCamera, Watch], 
/**
 * Asks the server for a way to the relay; good for one connection.
 */
door: [Session, Door], 
/**
 * Tells the connection story what the page alone sees: a step is done, or why it is not.
 */
tellStep: [TellStep, Nothing], 
/**
 * Stops watching, and says so to the household.
 */
unwatch: [Session, Nothing], 
/**
 * Begins to keep this camera's group and to seal its frames. For a device that joined as a camera.
 */
publish: [Nothing, Watch], 
/**
 * Stops being a camera for now.
 */
unpublish: [Session, Nothing], };

/**
 * Why a call did nothing, or not everything.
 */
export type Fault = { 
/**
 * Stable name of the kind: a problem code of the server, or one of this face.
 */
code: string, 
/**
 * What was wrong and what to do, in one sentence.
 */
text: string, };

/**
 * No argument, or nothing to reply.
 */
export type Nothing = Record<symbol, never>;
