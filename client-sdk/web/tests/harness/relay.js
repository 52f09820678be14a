/** A relay of its own for a test, with the signer of its grants, and optionally a bad network before it. */

import { createPrivateKey, generateKeyPairSync, randomBytes, randomInt, sign } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { built } from './places.js';
import { LIMIT_MS, Program, eventually } from './programs.js';

/** A running relay. */
export class Relay {
  #program;
  #network;
  #signer;
  /** Base URL of the door. */
  door;

  /**
   * Starts `latchkey-relay`.
   * @param {{network?: {loss: number, delayMs?: number, seed?: number}}} [options] `network` is the weather of everybody
   */
  static async start({ network } = {}) {
    const relay = new Relay();
    try {
      const [door, ops, media] = await Promise.all([freePort(), freePort(), freePort()]);
      const socket = `${machine}:${media}`;
      let address = socket;
      if (network) {
        relay.#network = new Program(built('examples/legs'));
        relay.#network.say({ leg: 'network', bind: machine });
        const told = await relay.#network.event('address');
        await relay.#network.ask({ to: socket }, 'to');
        await relay.weather(network);
        address = told.address;
      }
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      relay.#signer = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const key = publicKey.export({ format: 'jwk' }).x;
      relay.door = `http://127.0.0.1:${door}`;
      relay.ops = `http://127.0.0.1:${ops}`;
      relay.#program = new Program(built('latchkey-relay'), [
        ...['--bind', `0.0.0.0:${media}`, '--door', `127.0.0.1:${door}`, '--ops', `127.0.0.1:${ops}`],
        ...['--public-address', address, '--grant-key', `${KID}:${key}`, '--shards', '1'],
      ]);
      await eventually('the relay to be ready', () => relay.#isReady());
      return relay;
    } catch (error) {
      await relay.end();
      throw error;
    }
  }

  /** Changes the weather for clients first heard of from now on; returns its number for {@link report}. */
  async weather({ loss, delayMs = 0, seed = 1 }) {
    return (await this.#network.ask({ loss, delayMs, seed }, 'weather')).number;
  }

  /** What the network did to the clients of one weather. */
  report(number) {
    return this.#network.ask({ report: number }, 'report');
  }

  /**
   * Address, grant and key for one leg.
   * @param {'publish' | 'view'} scope
   * @param {Room} room
   */
  way(scope, room) {
    const path = scope === 'publish' ? 'whip' : 'whep';
    return { door: `${this.door}/${path}/${room.id}`, grant: this.#grant(scope, room.id), key: room.key };
  }

  /** The relay's figures, one number for each line whose name and labels begin with `name`. */
  async metrics(name) {
    const text = await (await fetch(`${this.ops}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').pop())]),
    );
  }

  /** What the relay logged. */
  get log() {
    return this.#program?.errors ?? [];
  }

  async end() {
    await this.#program?.end();
    await this.#network?.end();
  }

  async #isReady() {
    this.#program.mustRun();
    const answer = await fetch(`${this.ops}/readyz`, { signal: AbortSignal.timeout(LIMIT_MS) }).catch(
      () => null,
    );
    return answer?.ok;
  }

  #grant(scope, room) {
    const now = Math.floor(Date.now() / 1000);
    const header = { typ: 'JWT', alg: 'EdDSA', kid: KID };
    const claims = {
      ...{ aud: 'latchkey', room, scope: [scope], sub: name(), jti: name() },
      ...{ iat: now, exp: now + 60, session_exp: now + 3600 },
    };
    const text = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${sign(null, Buffer.from(text), this.#signer).toString('base64url')}`;
  }
}

/**
 * A room that nobody was in, and the SFrame base key that its legs share.
 * @typedef {{id: string, key: string}} Room
 * @returns {Room}
 */
export function newRoom() {
  return { id: name(), key: randomBytes(16).toString('hex') };
}

/**
 * Starts one of the native legs.
 * @param {'camera' | 'viewer'} leg
 * @param {object} order see loadtest/examples/legs
 */
export function nativeLeg(leg, order) {
  const program = new Program(built('examples/legs'));
  program.say({ leg, ...order });
  return program;
}

/** This machine's address in its network: Firefox finds no way to loopback before a camera is allowed. */
export const machine =
  Object.values(networkInterfaces())
    .flat()
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';

/**
 * A port that is free over TCP and UDP. It is not one of those that the system gives to connections by itself, one of which
 * could have it before it is listened on, or while a program that listens on it is started anew.
 */
export async function freePort() {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(LOWEST_PORT, highestPort());
    const free = (await canHave(createServer(), port)) && (await canHave(createSocket('udp4'), port));
    if (free && !given.has(port)) return (given.add(port), port);
  }
  throw new Error('no port is free');
}

function canHave(socket, port) {
  return new Promise((resolve) => {
    socket.on('error', () => resolve(false));
    const done = () => socket.close(() => resolve(true));
    if ('bind' in socket) socket.bind(port, done);
    else socket.listen(port, '0.0.0.0', done);
  });
}

/** The first port that the system gives to connections by itself. */
function highestPort() {
  try {
    const [lowest] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/);
    if (Number(lowest) >= LOWEST_PORT + 1_000) return Number(lowest);
  } catch {
    // Another system.
  }
  return 32_768;
}

const given = new Set();
const LOWEST_PORT = 12_000;

const name = () => randomBytes(16).toString('base64url');
const KID = 'test';
