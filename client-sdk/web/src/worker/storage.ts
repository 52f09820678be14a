/** Where the device's state rests: one record in IndexedDB, encrypted by a key that the browser never gives out. */

/** What is stored. Key and state change together, or not at all. */
interface Stored {
  /** AES-GCM, not extractable. */
  key: CryptoKey;
  iv: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
}

/** The state of this browser's device. Writes are done one after the other, in their order. */
export class Storage {
  readonly #database: IDBDatabase;
  #key: CryptoKey | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Opens the browser's database. Rejects where the browser has none for this page. */
  static async open(): Promise<Storage> {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    return new Storage(await settled(opening));
  }

  /** Returns the state as it was written last; undefined when there is none. */
  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    await this.#last.catch(() => undefined);
    const reading = this.#database.transaction(STORE).objectStore(STORE).get(RECORD);
    const stored = (await settled(reading)) as Stored | undefined;
    if (stored === undefined) return undefined;
    this.#key = stored.key;
    return new Uint8Array(await crypto.subtle.decrypt(cipher(stored.iv), stored.key, stored.sealed));
  }

  /** Writes the state in place of the one before; resolves when it is on the disk. */
  write(state: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#next(async () => {
      this.#key ??= await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
        'encrypt',
        'decrypt',
      ]);
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const sealed = await crypto.subtle.encrypt(cipher(iv), this.#key, state);
      await this.#change((store) => store.put({ key: this.#key, iv, sealed } as Stored, RECORD));
    });
  }

  /** Erases state and key. */
  erase(): Promise<void> {
    return this.#next(async () => {
      this.#key = undefined;
      await this.#change((store) => store.delete(RECORD));
    });
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

function cipher(iv: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: PURPOSE };
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
const PURPOSE = new TextEncoder().encode('latchkey device state v1');
