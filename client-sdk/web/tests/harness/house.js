/** A household on a server of its own: a native admin, native cameras and viewers, and a network that a test can spoil. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { front } from './front.js';
import { built } from './places.js';
import { Program, eventually } from './programs.js';
import { freePort, machine } from './relay.js';
import { Server } from './server.js';

/** A server, its network, and the households on it. */
export class Town {
  #network;
  #front;
  #folders = [];
  #programs = [];

  /** @param {{words?: string[], webDir?: string}} [options] further arguments of the server; another app */
  static async start(options = {}) {
    const town = new Town();
    try {
      const [port, media] = await Promise.all([freePort(), freePort()]);
      town.url = `http://127.0.0.1:${port}`;
      town.#network = new Program(built('examples/legs'));
      town.#network.say({ leg: 'network', bind: machine });
      const { address } = await town.#network.event('address');
      await town.#network.ask({ to: `${machine}:${media}` }, 'to');
      town.server = await Server.start({ ...options, media, address, publicUrl: town.url });
      town.#front = await front(port, town.server.port);
      return town;
    } catch (error) {
      await town.end();
      throw error;
    }
  }

  /** Losses of clients first heard of from now on. */
  async weather({ loss, delayMs = 0, seed = 1 }) {
    return (await this.#network.ask({ loss, delayMs, seed }, 'weather')).number;
  }

  /**
   * Changes a weather for those who are in it: `bitsPerSecond` go to them at most.
   * @param {number} number
   * @param {{loss?: number, delayMs?: number, bitsPerSecond?: number}} [to] fair where nothing is said
   */
  async change(number, to = {}) {
    await this.#network.ask({ change: number, ...to }, 'changed');
  }

  /** Takes the whole network away, signaling and media, or gives it back. */
  async away(away) {
    this.#front.away(away);
    await this.#network.ask({ away }, 'away');
  }

  /** What the network did to the clients of one weather. */
  report(number) {
    return this.#network.ask({ report: number }, 'report');
  }

  /** Starts a program that ends with the town, at the latest. */
  start(file, words) {
    const program = new Program(built(file), words);
    this.#programs.push(program);
    return program;
  }

  /** Founds a household with a native admin. */
  async household(admin = 'Ada') {
    const house = await this.natives();
    await house.found(admin);
    return house;
  }

  /** Folders for native devices of a household that an app founds. */
  async natives() {
    const folder = await mkdtemp(path.join(tmpdir(), 'latchkey-house-'));
    this.#folders.push(folder);
    return new House(this, folder);
  }

  async end() {
    await Promise.all(this.#programs.map((program) => program.end()));
    await this.#front?.close();
    await this.server?.end();
    await this.#network?.end();
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }
}

/** One household, seen from its native admin. */
export class House {
  #folder;
  #count = 0;

  /** @param {Town} town @param {string} folder */
  constructor(town, folder) {
    this.town = town;
    this.#folder = folder;
  }

  /** The folder of a native device. */
  home(name) {
    return path.join(this.#folder, name.toLowerCase().replace(/\W+/g, '-'));
  }

  async found(admin) {
    this.admin = admin;
    const words = path.join(this.#folder, 'words');
    const create = ['household', 'create', '--server', this.town.url, '--name', admin];
    await this.#done(admin, [...create, '--words-file', words, '--skip-words-check']);
  }

  /**
   * Makes an invite and returns its code, and a promise of the device's joining.
   * @param {'viewer' | 'camera' | 'admin'} role
   */
  async invite(role, name) {
    const invite = this.#start(this.admin, ['invite', '--role', role, '--name', name]);
    const { code } = await invite.event('invite');
    return { code, joined: invite.event('joined').finally(() => invite.end()) };
  }

  /** Has a native device join. */
  async join(role, name) {
    const { code, joined } = await this.invite(role, name);
    await this.joinBy(name, code);
    await joined;
  }

  /** Has a native device join by a code that somebody else made. */
  async joinBy(name, code) {
    await this.#done(name, ['join', '-'], `${code}\n`);
  }

  /** Lets in a camera that shows this code. */
  async add(shown, name) {
    await this.#done(this.admin, ['devices', 'add', '--code', shown, '--name', name]);
  }

  /** Starts a native camera that has joined. */
  camera(name, files) {
    return this.#start(name, ['camera', ...files.flatMap((file) => ['--source', file])]);
  }

  /** Starts a native viewer that has joined; it writes what it opens to `out`. */
  viewer(name, camera, out) {
    return this.#start(name, ['view', camera, ...(out ? ['--out', out] : [])]);
  }

  /** Starts a native device that watches and notes keys and counters. */
  tap(name, camera) {
    const program = this.town.start('examples/legs');
    program.say({ leg: 'tap', home: this.home(name), camera });
    return program;
  }

  /** Removes a device, and returns when each camera has changed its keys. */
  async remove(name) {
    return this.#done(this.admin, ['devices', 'remove', name]);
  }

  /** What the household has on its list. */
  async devices() {
    const told = await this.#done(this.admin, ['devices']);
    return told.find(({ event }) => event === 'devices').devices;
  }

  /** A name that no device here has. */
  name(what) {
    return `${what} ${++this.#count}`;
  }

  #start(name, words) {
    return this.town.start('latchkey', ['--json', '--home', this.home(name), ...LOCK, ...words]);
  }

  async #done(name, words, input) {
    const program = this.#start(name, words);
    if (input !== undefined) program.write(input);
    await program.finish();
    if (program.code !== 0) {
      throw new Error(`latchkey ${words.join(' ')} ended with ${program.code}: ${program.errors.join(' ')}`);
    }
    return program.told;
  }
}

/** Waits until a native camera sends. */
export function sends(camera) {
  return camera.until(
    'frames on their way',
    ({ event, sent_video: sent }) => event === 'sending' && sent > 0,
  );
}

/** Waits for a native viewer's frames; returns its figures then. */
export async function opened(viewer, frames) {
  const told = await viewer.until(
    `${frames} opened frames`,
    ({ event, opened_video: video }) => event === 'stats' && video >= frames,
  );
  return told;
}

export { eventually };

const LOCK = ['--vault', 'keyfile'];
