/** SFrame (RFC 9605) of suite 4 by WebCrypto, with a base key that the test gave. */

/** Keys of one base key, made when first asked for. */
export class Keys {
  #base;
  #made = new Map();

  /** @param {string} hex 32 hexadecimal digits */
  constructor(hex) {
    const bytes = Uint8Array.from(hex.match(/../g), (digits) => parseInt(digits, 16));
    this.#base = crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey', 'deriveBits']);
  }

  /**
   * Returns header, ciphertext and tag.
   * @param {bigint} kid
   * @param {bigint} ctr
   */
  async seal(kid, ctr, envelope, plain) {
    const header = writeHeader(kid, ctr);
    const sealed = await crypto.subtle.encrypt(
      ...(await this.#with(kid, ctr, concat(header, envelope))),
      plain,
    );
    return concat(header, new Uint8Array(sealed));
  }

  /** Returns key id, counter and plaintext; throws when the tag is wrong. */
  async open(envelope, sframe) {
    const { kid, ctr, length } = readHeader(sframe);
    const aad = concat(sframe.subarray(0, length), envelope);
    const plain = await crypto.subtle.decrypt(...(await this.#with(kid, ctr, aad)), sframe.subarray(length));
    return { kid, ctr, plain: new Uint8Array(plain) };
  }

  async #with(kid, ctr, additionalData) {
    if (!this.#made.has(kid)) this.#made.set(kid, this.#derive(kid));
    const { key, salt } = await this.#made.get(kid);
    const iv = salt.slice();
    for (let at = 0; at < 8; at++) iv[11 - at] ^= Number((ctr >> BigInt(8 * at)) & 0xffn);
    return [{ name: 'AES-GCM', iv, additionalData }, key];
  }

  async #derive(kid) {
    const base = await this.#base;
    const by = (label) => {
      const info = concat(new TextEncoder().encode(`SFrame 1.0 Secret ${label} `), bigEndian(kid, 8), SUITE);
      return { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
    };
    const aes = { name: 'AES-GCM', length: 128 };
    const key = await crypto.subtle.deriveKey(by('key'), base, aes, false, ['encrypt', 'decrypt']);
    return { key, salt: new Uint8Array(await crypto.subtle.deriveBits(by('salt'), base, 96)) };
  }
}

/** @returns {Uint8Array} */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The shortest header for these numbers. */
function writeHeader(kid, ctr) {
  const [high, kidBytes] = number(kid);
  const [low, ctrBytes] = number(ctr);
  return concat([(high << 4) | low], kidBytes, ctrBytes);
}

function number(value) {
  if (value < 8n) return [Number(value), []];
  const length = Math.ceil(value.toString(16).length / 2);
  return [8 | (length - 1), bigEndian(value, length)];
}

function readHeader(bytes) {
  let at = 1;
  const read = (config) => {
    if (!(config & 8)) return BigInt(config & 7);
    let value = 0n;
    for (let left = (config & 7) + 1; left > 0; left--) value = (value << 8n) | BigInt(bytes[at++]);
    return value;
  };
  const kid = read(bytes[0] >> 4);
  const ctr = read(bytes[0] & 15);
  return { kid, ctr, length: at };
}

function bigEndian(value, length) {
  return Uint8Array.from({ length }, (_, at) => Number((value >> BigInt(8 * (length - 1 - at))) & 0xffn));
}

const SUITE = [0, 4];
