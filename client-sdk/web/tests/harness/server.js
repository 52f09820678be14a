/** A `latchkey-server` of its own for a test: signaling, relay and the built app on one port of this machine. */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { built, target } from './places.js';
import { Program, eventually } from './programs.js';
import { freePort } from './relay.js';

/** Where the built app is. */
export const appDir = path.resolve(process.env.LATCHKEY_WEB_DIR ?? path.join(target, 'web'));

/** A running server. */
export class Server {
  #program;
  #folder;

  /**
   * Starts it with a fresh data folder, which a later {@link restart} keeps.
   * @param {{words?: string[], media?: number, address?: string, publicUrl?: string, webDir?: string}} [options] further
   * arguments; the media port; the addresses that its answers name where a network stands in between; another app
   */
  static async start({ words = [], media, address, publicUrl, webDir = appDir } = {}) {
    if (!existsSync(path.join(webDir, 'index.html'))) {
      throw new Error(`${webDir} holds no app: run "make web", or name its folder in LATCHKEY_WEB_DIR`);
    }
    const server = new Server();
    server.#folder = await mkdtemp(path.join(tmpdir(), 'latchkey-server-'));
    const [open, ops] = await Promise.all([freePort(), freePort()]);
    server.media = media ?? (await freePort());
    server.port = open;
    server.url = `http://127.0.0.1:${open}`;
    server.ops = `http://127.0.0.1:${ops}`;
    server.words = [
      ...['--listen', `127.0.0.1:${open}`, '--ops', `127.0.0.1:${ops}`, '--media', `0.0.0.0:${server.media}`],
      ...[
        '--data-dir',
        path.join(server.#folder, 'data'),
        '--ready-file',
        path.join(server.#folder, 'ready.json'),
      ],
      ...['--web-dir', webDir, '--shards', '1', ...(address ? ['--public-address', address] : [])],
      ...[...(publicUrl ? ['--public-url', publicUrl] : []), ...words],
    ];
    await server.restart();
    return server;
  }

  /** Starts the process anew on the same ports and data; ends the one before, if there is one. */
  async restart() {
    await this.#program?.end();
    const file = path.join(this.#folder, 'ready.json');
    await rm(file, { force: true });
    this.#program = new Program(built('latchkey-server'), this.words);
    await eventually('the server to be ready', async () => {
      this.#program.mustRun();
      return readFile(file).catch(() => null);
    });
  }

  /** What it logged since it was started last. */
  get log() {
    return this.#program?.errors ?? [];
  }

  async end() {
    await this.#program?.end();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
