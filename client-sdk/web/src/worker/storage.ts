/** Where the device's state rests: one record in IndexedDB, encrypted by a key that the browser never gives out. */

import type { Lock, LockState } from '../sdk/lock.ts';

/** What is stored. Key and state change together, or not at all. */
interface Stored {
  /** Who opens `sealed`: an AES-GCM key that is not extractable; or the same key wrapped, and how. */
  key: CryptoKey | Wrapped;
  iv: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
}

/** A key that only a passkey's answer unwraps: AES-GCM under HKDF-SHA-256 of the answer. */
interface Wrapped {
  lock: Lock;
  salt: Uint8Array<ArrayBuffer>;
  iv: Uint8Array<ArrayBuffer>;
  wrapped: ArrayBuffer;
}

/** What is stored is locked, and the passkey has not answered yet. */
export class LockedError extends Error {}

/** This answer does not open what is stored. */
export class WrongAnswerError extends Error {}

/** The state of this browser's device. Writes are done one after the other, in their order. */
export class Storage {
  readonly #database: IDBDatabase;
  /** Opens the state; undefined before the first read, and while that is locked. */
  #key: CryptoKey | undefined;
  /** How it is stored where it is locked. */
  #wrapped: Wrapped | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Opens the browser's database. Rejects where the browser has none for this page. */
  static async open(): Promise<Storage> {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const storage = new Storage(await settled(opening));
    const stored = await storage.#stored();
    if (stored?.key instanceof CryptoKey) storage.#key = stored.key;
    else storage.#wrapped = stored?.key;
    return storage;
  }

  /** Whether there is a lock, and whether it is still closed. */
  get lockState(): LockState {
    return { lock: this.#wrapped?.lock, locked: this.#wrapped !== undefined && this.#key === undefined };
  }

  /** Returns the state as it was written last; undefined when there is none. Rejects with a {@link LockedError}. */
  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    await this.#last.catch(() => undefined);
    const stored = await this.#stored();
    if (stored === undefined) return undefined;
    if (this.#key === undefined) throw new LockedError();
    return new Uint8Array(await crypto.subtle.decrypt(cipher(stored.iv), this.#key, stored.sealed));
  }

  /** Writes the state in place of the one before; resolves when it is on the disk. */
  write(state: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#next(async () => {
      if (this.lockState.locked) throw new LockedError();
      const key = this.#key ?? (await newKey(false));
      await this.#put(state, key, this.#wrapped);
    });
  }

  /** Opens the lock with the passkey's answer, which is erased. Rejects with a {@link WrongAnswerError}. */
  async unlock(answer: ArrayBuffer): Promise<void> {
    const wrapped = this.#wrapped;
    if (wrapped === undefined) return;
    const wrapping = await wrappingKey(answer, wrapped.salt);
    this.#key = await unwrap(wrapped, wrapping).catch(() => {
      throw new WrongAnswerError();
    });
  }

  /** Locks what is stored: a new key, which only the passkey's answer unwraps, stands in place of the one before. */
  lock(lock: Lock, answer: ArrayBuffer): Promise<void> {
    return this.#next(async () => {
      const salt = crypto.getRandomValues(new Uint8Array(32));
      const wrapping = await wrappingKey(answer, salt);
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const extractable = await newKey(true);
      const bare = await crypto.subtle.wrapKey('raw', extractable, wrapping, cipher(iv, WRAPPING));
      const wrapped = { lock, salt, iv, wrapped: bare };
      // The one that is used from here on is not extractable.
      await this.#rewrite(await unwrap(wrapped, wrapping), wrapped);
    });
  }

  /** Takes the lock off what is stored. Rejects with a {@link LockedError} while it is closed. */
  takeLockOff(): Promise<void> {
    return this.#next(async () => this.#rewrite(await newKey(false), undefined));
  }

  /** Erases state and key. */
  erase(): Promise<void> {
    return this.#next(async () => {
      await this.#change((store) => store.delete(RECORD));
      this.#key = undefined;
      this.#wrapped = undefined;
    });
  }

  async #stored(): Promise<Stored | undefined> {
    const reading = this.#database.transaction(STORE).objectStore(STORE).get(RECORD);
    return (await settled(reading)) as Stored | undefined;
  }

  /** What is stored, under another key. */
  async #rewrite(key: CryptoKey, wrapped: Wrapped | undefined): Promise<void> {
    const stored = await this.#stored();
    if (stored === undefined || this.#key === undefined) throw new LockedError();
    const state = new Uint8Array(await crypto.subtle.decrypt(cipher(stored.iv), this.#key, stored.sealed));
    try {
      await this.#put(state, key, wrapped);
    } finally {
      state.fill(0);
    }
  }

  async #put(state: Uint8Array<ArrayBuffer>, key: CryptoKey, wrapped: Wrapped | undefined): Promise<void> {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt(cipher(iv), key, state);
    await this.#change((store) => store.put({ key: wrapped ?? key, iv, sealed } satisfies Stored, RECORD));
    this.#key = key;
    this.#wrapped = wrapped;
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.catch(() => undefined).then(work);
    return this.#last;
  }

  async #change(change: (store: IDBObjectStore) => unknown): Promise<void> {
    const transaction = this.#database.transaction(STORE, 'readwrite', { durability: 'strict' });
    change(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the browser stored nothing'));
    });
  }
}

function cipher(iv: Uint8Array<ArrayBuffer>, additionalData = PURPOSE): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData };
}

function newKey(extractable: boolean): Promise<CryptoKey> {
  return crypto.subtle.generateKey(AES, extractable, ['encrypt', 'decrypt']);
}

/** Makes the wrapping key of a passkey's answer, and erases the answer. */
async function wrappingKey(answer: ArrayBuffer, salt: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  try {
    const secret = await crypto.subtle.importKey('raw', answer, 'HKDF', false, ['deriveKey']);
    const way = { name: 'HKDF', hash: 'SHA-256', salt, info: WRAPPING };
    return await crypto.subtle.deriveKey(way, secret, AES, false, ['wrapKey', 'unwrapKey']);
  } finally {
    new Uint8Array(answer).fill(0);
  }
}

function unwrap({ wrapped, iv }: Wrapped, wrapping: CryptoKey): Promise<CryptoKey> {
  const how = cipher(iv, WRAPPING);
  return crypto.subtle.unwrapKey('raw', wrapped, wrapping, how, AES, false, ['encrypt', 'decrypt']);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser’s database does not answer'));
  });
}

const DATABASE = 'latchkey';
const STORE = 'device';
const RECORD = 'state';
const AES = { name: 'AES-GCM', length: 256 };
const WRAPPING = new TextEncoder().encode('latchkey device lock v1');
const PURPOSE = new TextEncoder().encode('latchkey device state v1');
