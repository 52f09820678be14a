/** What page and worker say to each other about the passkey lock. The module behind the worker knows nothing of it. */

/** How what this browser keeps is locked; nothing of it is secret. */
export interface Lock {
  /** Id of the passkey. */
  credential: Uint8Array<ArrayBuffer>;
  /** What the passkey is asked about (WebAuthn PRF, input `first`). */
  question: Uint8Array<ArrayBuffer>;
}

/** What the worker says of the lock. */
export interface LockState {
  /** Undefined while there is none. */
  lock: Lock | undefined;
  /** The passkey has yet to answer. */
  locked: boolean;
}

/** Calls about the lock: argument and reply. An `answer` is the passkey's 32 bytes; it is moved, and erased after use. */
export interface LockCalls {
  lockState: [Record<string, never>, LockState];
  /** Opens what is kept. Faults: `wrong-passkey`. */
  unlock: [{ answer: ArrayBuffer }, LockState];
  /** Locks what is kept. */
  lock: [{ lock: Lock; answer: ArrayBuffer }, LockState];
  /** Takes the lock off. */
  takeLockOff: [Record<string, never>, LockState];
  /** Erases what is kept, without the passkey. */
  eraseLocked: [Record<string, never>, LockState];
}
