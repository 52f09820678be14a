/** Made from client-sdk/wasm/src/face/devices.rs: `make wasm-types` writes it anew. */

/**
 * A camera.
 */
export type Camera = { 
/**
 * Its id.
 */
id: string, 
/**
 * What the household calls it.
 */
name: string, 
/**
 * It is connected; `null` when the server does not say.
 */
live: boolean | null, };

/**
 * The cameras this device may see.
 */
export type Cameras = { 
/**
 * In the list's order.
 */
cameras: Array<Camera>, };

/**
 * What to change of a device; what is left out stays.
 */
export type Change = { 
/**
 * Which device.
 */
device: string, 
/**
 * What it may do.
 */
rights?: Array<Right>, 
/**
 * The cameras for which.
 */
cameras?: Array<string>, 
/**
 * All cameras, instead of named ones.
 */
allCameras?: boolean, 
/**
 * Days that it stays from now on; 0 for ever.
 */
days?: number, };

/**
 * One device of the household.
 */
export type Device = { 
/**
 * Its id.
 */
id: string, 
/**
 * What the household calls it.
 */
name: string, 
/**
 * What it is.
 */
role: Role, 
/**
 * What it may do.
 */
rights: Array<Right>, 
/**
 * The cameras it may use; `null` for all.
 */
cameras: Array<string> | null, 
/**
 * Since when it is on the list.
 */
since: number, 
/**
 * When it ends; `null` for never.
 */
ends: number | null, 
/**
 * It is this one.
 */
this: boolean, };

/**
 * A device by its id.
 */
export type DeviceRef = { 
/**
 * Its id.
 */
device: string, };

/**
 * The devices of the household.
 */
export type Devices = { 
/**
 * The version of the list; 0 before there is one.
 */
listVersion: number, 
/**
 * In the list's order.
 */
devices: Array<Device>, };

/**
 * A list that was signed and that the server took.
 */
export type ListSigned = { 
/**
 * Its version.
 */
listVersion: number, 
/**
 * It also joined two histories.
 */
joined: boolean, };

/**
 * A device of a household: this one.
 */
export type Member = { 
/**
 * The household's id.
 */
household: string, 
/**
 * This device's id.
 */
device: string, 
/**
 * What the household calls it.
 */
name: string, 
/**
 * What it is; `null` while no list that names it is known, or when it was removed.
 */
role: Role | null, 
/**
 * Address of the household's server.
 */
server: string, };

/**
 * A new name.
 */
export type Rename = { 
/**
 * Whose.
 */
device: string, 
/**
 * The name.
 */
name: string, };

/**
 * What a device may do with a camera.
 */
export type Right = "see" | "talk" | "history";

/**
 * What a device is.
 */
export type Role = "camera" | "admin" | "viewer" | "guest";

/**
 * The safety number.
 */
export type SafetyNumber = { 
/**
 * Twelve groups of five digits.
 */
groups: Array<string>, 
/**
 * What a QR code of it holds.
 */
qr: string, 
/**
 * The list that it is of.
 */
listVersion: number, };

/**
 * Where this browser stands.
 */
export type Standing = { "is": "nobody" } | { "is": "member" } & Member;
