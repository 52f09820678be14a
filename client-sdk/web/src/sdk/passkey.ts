/** Passkeys with the PRF extension (WebAuthn Level 3, section 10.1.4). Only a page has them, so their answers come from here. */

import { Failure } from './link.ts';
import type { Lock } from './lock.ts';

/** A new lock, and what its passkey answers. */
export interface Locking {
  lock: Lock;
  answer: ArrayBuffer;
}

/** Returns why this page cannot have a passkey at all; undefined where it may. */
export async function whyNoPasskey(): Promise<Failure | undefined> {
  if (typeof PublicKeyCredential === 'undefined') return new Failure('no-passkey', NONE);
  if (/^[\d.]+$|:/.test(location.hostname)) return new Failure('no-passkey', ADDRESS);
  const able = await PublicKeyCredential.getClientCapabilities?.().catch(() => undefined);
  return able?.['extension:prf'] === false ? new Failure('no-prf', NO_PRF) : undefined;
}

/** Makes a passkey and asks it. Rejects with a {@link Failure}. */
export async function makePasskey(deviceName: string): Promise<Locking> {
  const why = await whyNoPasskey();
  if (why) throw why;
  const question = random(32);
  const made = await asked(() =>
    navigator.credentials.create({
      publicKey: {
        rp: { name: 'Latchkey' },
        user: { id: random(16), name: deviceName, displayName: `${deviceName} (Latchkey)` },
        // Nobody judges what it signs: what counts is that only it can answer the question.
        challenge: random(32),
        pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: 'public-key' as const, alg })),
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
        extensions: { prf: { eval: { first: question } } },
      },
    }),
  );
  const { prf } = made.getClientExtensionResults();
  const lock = { credential: new Uint8Array(made.rawId), question };
  // Some answer when they are made, some only from then on.
  if (prf?.results) return { lock, answer: bytesOf(prf.results.first) };
  if (!prf?.enabled) throw new Failure('no-prf', NO_PRF);
  return { lock, answer: await askPasskey(lock) };
}

/** Asks the passkey of a lock. Rejects with a {@link Failure}. */
export async function askPasskey({ credential, question }: Lock): Promise<ArrayBuffer> {
  const got = await asked(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: random(32),
        allowCredentials: [{ type: 'public-key', id: credential }],
        userVerification: 'required',
        extensions: { prf: { eval: { first: question } } },
      },
    }),
  );
  const results = got.getClientExtensionResults().prf?.results;
  if (!results) throw new Failure('no-prf', NO_PRF);
  return bytesOf(results.first);
}

async function asked(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  let credential: Credential | null;
  try {
    credential = await ask();
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    if (name === 'NotAllowedError' || name === 'AbortError') throw new Failure('no-answer', NO_ANSWER);
    if (name === 'SecurityError') throw new Failure('no-passkey', ADDRESS);
    if (name === 'NotSupportedError') throw new Failure('no-prf', NO_PRF);
    throw new Failure('passkey', `The passkey could not be used (${name || String(error)}). Try again.`);
  }
  if (!(credential instanceof PublicKeyCredential)) throw new Failure('no-answer', NO_ANSWER);
  return credential;
}

/** A buffer with these bytes only, so that moving it leaves none behind. */
function bytesOf(source: BufferSource): ArrayBuffer {
  if (source instanceof ArrayBuffer) return source;
  const view = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  const copy = view.slice();
  view.fill(0);
  return copy.buffer;
}

function random(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}

const NONE = 'This browser has no passkeys for this page: use another browser if you want the lock.';
const ADDRESS =
  'Passkeys belong to a name, and this page came from a bare address: open it by a name, such as https://cameras.example.org.';
const NO_PRF =
  'This browser or this passkey cannot make keys (it lacks WebAuthn’s PRF extension): try another passkey, or a newer browser. Nothing was locked.';
const NO_ANSWER = 'The passkey did not answer. Try again.';
