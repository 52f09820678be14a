/** What page and worker say to each other. Made from client-sdk/wasm/src/face.rs: `make wasm-types` writes it anew. */

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
 * What the camera's signature says about the frames of the moment.
 */
export type Authenticity = "notVerified" | "signed" | "forged";

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
 * Shows this device to an admin, by a code to be scanned or a number to be typed; [`Event::Arrival`] tells the rest.
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
 * Makes an invite code; [`Event::Invite`] tells what came of it.
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
 * Removes a device; [`Event::Removal`] tells when each camera has changed its keys.
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
 * Whether both screens show the same digits.
 */
export type DigitsFit = { 
/**
 * Yes or no; a no ends it.
 */
fit: boolean, };

/**
 * What the typed digits are.
 */
export type DigitsVerdict = { "is": "fit" } | { "is": "notDigits" } | { "is": "wrong", 
/**
 * How often they may be typed again; with 0 left it is over.
 */
left: number, };

/**
 * A way to the relay: post the SDP offer to `url` with `grant` as bearer token. The grant opens no frame.
 */
export type Door = { 
/**
 * WHEP address of a watch, WHIP address of a camera.
 */
url: string, 
/**
 * Goes into the header `Authorization: Bearer …`, never into an address.
 */
grant: string, };

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

/**
 * Frames that did not open, for one reason.
 */
export type Failed = { 
/**
 * Stable name of the reason.
 */
reason: string, 
/**
 * How many.
 */
frames: number, };

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
 * What a watch has opened.
 */
export type Figures = { 
/**
 * Video frames opened since the start.
 */
openedVideo: number, 
/**
 * Audio frames opened since the start.
 */
openedAudio: number, 
/**
 * Frames that did not open, by reason, since the start.
 */
failed: Array<Failed>, 
/**
 * Opened video frames per second.
 */
fps: number, 
/**
 * Bits of opened frames per second.
 */
bitsPerSecond: number, 
/**
 * Age of the newest video frame when it was opened, in milliseconds, by the camera's clock and this one's.
 */
ageMs: number | null, 
/**
 * Frames that the camera's signature covers, since the start.
 */
signed: number, 
/**
 * Frames whose signature did not come.
 */
unverified: number, 
/**
 * Frames that the camera did not make.
 */
forged: number, 
/**
 * What the newest of these verdicts say.
 */
authenticity: Authenticity, 
/**
 * The camera's own answer proves the last frame to be of now; `null` while it has not answered.
 */
live: boolean | null, 
/**
 * Nothing that comes has opened for a while: no more key frames are to be asked for.
 */
blind: boolean, };

/**
 * Founds what was prepared.
 */
export type Found = { 
/**
 * The operator's invite code, where the server asks for one.
 */
inviteCode: string | null, };

/**
 * An invite code: good once, for ten minutes, while this page is open.
 */
export type InviteCode = { 
/**
 * The code. Put it behind `#` of the app's address for a link.
 */
code: string, };

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
 * How the admin and the new device met.
 */
export type Met = { "is": "sure", 
/**
 * What it says it is.
 */
kind: Kind, } | { "is": "askDigits" };

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
 * No argument, or nothing to reply.
 */
export type Nothing = Record<symbol, never>;

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
 * What a camera has sealed.
 */
export type SendingFigures = { 
/**
 * Video frames sealed since the start.
 */
sealedVideo: number, 
/**
 * Audio frames sealed since the start.
 */
sealedAudio: number, 
/**
 * Frames that could not be sealed, by reason.
 */
failed: Array<Failed>, 
/**
 * The MLS epoch in use.
 */
epoch: number, 
/**
 * Video frames sealed per second.
 */
fps: number, 
/**
 * Bits of sealed frames per second.
 */
bitsPerSecond: number, };

/**
 * A running watch or camera by its number.
 */
export type Session = { 
/**
 * Its number.
 */
session: number, };

/**
 * Where this browser stands.
 */
export type Standing = { "is": "nobody" } | { "is": "member" } & Member;

/**
 * The steps between opening a camera and its picture, in their order.
 */
export type Step = "signalling" | "relay" | "ice" | "dtls" | "firstPacket" | "keyKnown" | "firstFrame";

/**
 * A step of the connection story that only the page sees.
 */
export type TellStep = { 
/**
 * Whose.
 */
session: number, 
/**
 * Which.
 */
step: Step, 
/**
 * Why it is not done, and with it all steps after it, also when they were done before: the connection is made
 * anew. `null` when it is done.
 */
reason: string | null, };

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

/**
 * What this device shows while it waits.
 */
export type Waiting = { 
/**
 * The code or the number. Keep it from strangers' eyes.
 */
shown: string, };

/**
 * A running watch, or a running camera. Its number goes into `RTCRtpScriptTransform` options.
 */
export type Watch = { 
/**
 * Its number, in this worker.
 */
session: number, };

/**
 * Which camera to watch.
 */
export type WatchCamera = { 
/**
 * Its id.
 */
camera: string, };

/**
 * A device that watches.
 */
export type Watcher = { 
/**
 * Its id.
 */
device: string, 
/**
 * What the household calls it.
 */
name: string, };

/**
 * The twelve words of a household: shown once, kept nowhere.
 */
export type Words = { 
/**
 * In their order.
 */
words: Array<string>, };
