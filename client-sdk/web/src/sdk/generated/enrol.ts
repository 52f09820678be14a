/** Made from client-sdk/wasm/src/face/enrol.rs: `make wasm-types` writes it anew. */

import type { Role, Standing } from './devices.ts';

/**
 * How far the arrival of this device is.
 */
export type ArrivalStage = { "is": "digits", 
/**
 * Six digits.
 */
digits: string, } | { "is": "invited", 
/**
 * What it will be called.
 */
name: string, 
/**
 * What it will be.
 */
role: Role, 
/**
 * Six digits that the admin's screen shows, too.
 */
glance: string, } | { "is": "listed", 
/**
 * Where it stands now.
 */
standing: Standing, } | { "is": "failed", 
/**
 * Why, and what to do.
 */
reason: string, };

/**
 * How this device is shown to an admin.
 */
export type Arrive = { 
/**
 * Address of the household's server.
 */
server: string, 
/**
 * What it is.
 */
kind: Kind, 
/**
 * How it shows itself.
 */
by: ArriveBy, };

/**
 * How a new device shows itself.
 */
export type ArriveBy = "code" | "number";

/**
 * Whether both screens show the same digits.
 */
export type DigitsFit = { 
/**
 * Yes or no; a no ends it.
 */
fit: boolean, };

/**
 * Founds what was prepared.
 */
export type Found = { 
/**
 * The operator's invite code, where the server asks for one.
 */
inviteCode: string | null, };

/**
 * An invite code, or the link that carries it behind `#`.
 */
export type JoinByCode = { 
/**
 * The code or link, as it was pasted or opened.
 */
code: string, };

/**
 * What a new device is.
 */
export type Kind = "camera" | "viewer";

/**
 * A household to be made.
 */
export type NewHousehold = { 
/**
 * Address of the server.
 */
server: string, 
/**
 * What this device will be called.
 */
deviceName: string, };

/**
 * Recovery by the twelve words.
 */
export type Recover = { 
/**
 * Address of the household's server.
 */
server: string, 
/**
 * The twelve words, with spaces between.
 */
words: string, 
/**
 * What this device will be called.
 */
deviceName: string, 
/**
 * The admins of before stay admins.
 */
keepAdmins: boolean, };

/**
 * What this device shows while it waits.
 */
export type Waiting = { 
/**
 * The code or the number. Keep it from strangers' eyes.
 */
shown: string, };

/**
 * The twelve words of a household: shown once, kept nowhere.
 */
export type Words = { 
/**
 * In their order.
 */
words: Array<string>, };
