/** Made from client-sdk/wasm/src/face/admit.rs: `make wasm-types` writes it anew. */

import type { Right, Role } from './devices.ts';
import type { Kind } from './enrol.ts';

/**
 * A device that is on the list now.
 */
export type Admitted = { 
/**
 * Its id.
 */
device: string, 
/**
 * The list that has it.
 */
listVersion: number, };

/**
 * What the typed digits are.
 */
export type DigitsVerdict = { "is": "fit" } | { "is": "notDigits" } | { "is": "wrong", 
/**
 * How often they may be typed again; with 0 left it is over.
 */
left: number, };

/**
 * An invite code: good once, for ten minutes, while this page is open.
 */
export type InviteCode = { 
/**
 * The code. Put it behind `#` of the app's address for a link.
 */
code: string, };

/**
 * Digits that both screens show.
 */
export type LastGlance = { 
/**
 * Six digits.
 */
digits: string, };

/**
 * A new device that an admin lets in.
 */
export type LetIn = { 
/**
 * The code that was scanned, or the number that was typed.
 */
shown: string, 
/**
 * What it will be.
 */
terms: Terms, };

/**
 * How the admin and the new device met.
 */
export type Met = { "is": "sure", 
/**
 * What it says it is.
 */
kind: Kind, } | { "is": "askDigits" };

/**
 * What a new device will be.
 */
export type Terms = { 
/**
 * What it will be.
 */
role: Role, 
/**
 * What it will be called.
 */
name: string, 
/**
 * What it may do; `null` for everything (for a camera: nothing).
 */
rights: Array<Right> | null, 
/**
 * The cameras it may use; `null` for all. Guests name theirs.
 */
cameras: Array<string> | null, 
/**
 * Days that it stays; `null` for ever. Guests stay 1 to 30.
 */
days: number | null, };

/**
 * Digits as they were typed.
 */
export type TypedDigits = { 
/**
 * The digits; spaces do not matter.
 */
digits: string, };
