/** Programs that a test starts, speaks to in lines of JSON, and ends. */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How long anything may take before it counts as hanging: a machine may be slow, and busy with two browsers. */
export const LIMIT_MS = 60_000;
/** The same in words. */
const LIMIT = `${LIMIT_MS / 1000} s`;

/** A running program. */
export class Program {
  #child;
  #ended;
  #waiting = new Set();
  /** Every object that it told, in order. @type {object[]} */
  told = [];
  /** What it wrote to standard error. @type {string[]} */
  errors = [];

  /**
   * @param {string} file
   * @param {string[]} words
   * @param {NodeJS.ProcessEnv} [environment] beside this process's own
   */
  constructor(file, words = [], environment = {}) {
    this.name = file.split('/').pop();
    this.#child = spawn(file, words, { env: { ...process.env, ...environment } });
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', resolve);
      this.#child.on('error', (error) => resolve(this.errors.push(String(error))));
    });
    this.#child.stdin.on('error', () => {});
    this.#ended.then(() => this.#wake());
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.errors.push(line));
  }

  /** Throws with its last words when it has ended. */
  mustRun() {
    if (this.#isOver()) throw new Error(`${this.name} has ended: ${this.#last()}`);
  }

  /** Exit code; null while it runs, or when a signal ended it. */
  get code() {
    return this.#child.exitCode;
  }

  /** Writes to its input. */
  write(text) {
    this.#child.stdin.write(text);
  }

  /** Sends one object as a line. */
  say(word) {
    this.#child.stdin.write(`${JSON.stringify(word)}\n`);
  }

  /**
   * Returns the first object told so far or from now on that `wanted` takes.
   * @param {string} what for the failure's sentence
   * @param {(told: any) => unknown} wanted
   */
  async until(what, wanted, after = 0) {
    const deadline = Date.now() + LIMIT_MS;
    for (let at = after; ; at++) {
      while (at >= this.told.length) {
        if (this.#isOver()) throw new Error(`${this.name} ended before ${what}: ${this.#last()}`);
        if (Date.now() > deadline) throw new Error(`${this.name}: no ${what} in ${LIMIT}: ${this.#last()}`);
        await this.#news(deadline - Date.now());
      }
      if (wanted(this.told[at])) return this.told[at];
    }
  }

  /** Returns the first object with this `event`. */
  event(name) {
    return this.until(name, (told) => told.event === name);
  }

  /** Says a word and returns the next object with this `event`. */
  async ask(word, event) {
    const after = this.told.length;
    this.say(word);
    return this.until(event, (told) => told.event === event, after);
  }

  /** The newest object with this `event`. */
  newest(event) {
    return this.told.findLast((told) => told.event === event);
  }

  /** Ends it in order, by force after five seconds; returns when it is gone. */
  async end() {
    if (this.#isOver()) return;
    this.#child.stdin.end();
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await this.#ended;
    clearTimeout(force);
  }

  /** Closes its input and returns when it has ended by itself. */
  async finish() {
    this.#child.stdin.end();
    const force = setTimeout(() => this.#child.kill('SIGKILL'), LIMIT_MS);
    await this.#ended;
    clearTimeout(force);
  }

  #hear(line) {
    try {
      this.told.push(JSON.parse(line));
    } catch {
      this.told.push({ event: 'line', line });
    }
    this.#wake();
  }

  #wake() {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #news(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, milliseconds));
      this.#waiting.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #isOver() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  #last() {
    return [...this.told.slice(-2).map((told) => JSON.stringify(told)), ...this.errors.slice(-5)].join(' | ');
  }
}

/**
 * Asks until the answer is true-like, and returns it; fails after {@link LIMIT_MS} with what was asked for.
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} ask
 */
export async function eventually(what, ask, every = 100) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${what} did not come about within ${LIMIT}`);
    await pause(every);
  }
}

/** @param {number} milliseconds */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
