/** The relay's door: an offer in, an answer back (WHEP for watching, WHIP for sending), and what may be said later. */

import { Failure } from './link.ts';
import type { Door } from './generated/face.ts';

/** A session at a relay. Its address is all it takes to end it. */
export interface RelaySession {
  /** The SDP answer. */
  answer: string;
  /** The session's own address; undefined when the relay does not let this page read it. */
  address: string | undefined;
}

/**
 * Posts an offer and returns the answer.
 *
 * Rejects with a {@link Failure}: code `unreachable` when nobody answers in time, else the relay's problem code, for
 * instance `no-publisher` while the camera does not send.
 */
export async function open(door: Door, offer: string): Promise<RelaySession> {
  const response = await fetch(door.url, {
    method: 'POST',
    headers: { Authorization: `Bearer ${door.grant}`, 'Content-Type': 'application/sdp' },
    body: offer,
    cache: 'no-store',
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(ANSWER_LIMIT),
  }).catch((error: unknown) => {
    throw new Failure('unreachable', `the relay at ${hostOf(door.url)} does not answer (${reasonOf(error)})`);
  });
  const body = await response.text().catch(() => '');
  if (!response.ok) throw refusal(response.status, body);
  const location = response.headers.get('Location');
  return { answer: body, address: location === null ? undefined : new URL(location, door.url).href };
}

/** Tells the relay that the session is over. A relay that is gone needs no telling. */
export function close(session: RelaySession | undefined): void {
  if (session?.address === undefined) return;
  // Also while the page is being left.
  void fetch(session.address, { method: 'DELETE', keepalive: true, credentials: 'omit' }).catch(
    () => undefined,
  );
}

/** Tells the relay how long the first picture took, for its operator's figures. */
export function tellFirstFrame(session: RelaySession | undefined, afterMs: number): void {
  if (session?.address === undefined) return;
  void fetch(`${session.address}/first-frame`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ after_ms: Math.max(0, Math.round(afterMs)) }),
    credentials: 'omit',
  }).catch(() => undefined);
}

/** Reads a problem document (RFC 9457). */
export function refusal(status: number, body: string): Failure {
  let problem: { code?: unknown; detail?: unknown; title?: unknown } = {};
  try {
    const read: unknown = JSON.parse(body);
    if (typeof read === 'object' && read !== null) problem = read;
  } catch {
    // Not from the relay itself, but from something in front of it.
  }
  const code = typeof problem.code === 'string' ? problem.code : 'http';
  const detail =
    [problem.detail, problem.title].find((text) => typeof text === 'string') ?? 'no reason given';
  return new Failure(code, `the relay refused: ${detail} (${code}, HTTP ${status})`);
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return `within ${ANSWER_LIMIT / 1000} s`;
  return navigator.onLine ? 'the connection failed' : 'this device is offline';
}

/** How long the relay may take to answer an offer, in milliseconds. */
const ANSWER_LIMIT = 5_000;
