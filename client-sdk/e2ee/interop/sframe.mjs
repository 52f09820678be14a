// SFrame (RFC 9605) with WebCrypto: suite AES_128_GCM_SHA256_128, key ids and counters as BigInt.
//
// A key id of ours has up to 56 bits; a JavaScript number holds 53 of them and drops the rest without a word.

const SUITE = 0x0004;
const NONCE_LENGTH = 12;

/** Returns header || ciphertext || tag. */
export async function seal(baseKey, kid, ctr, plain, envelope) {
  const { key, salt } = await derive(baseKey, kid, "encrypt");
  const header = writeHeader(kid, ctr);
  const sealed = await crypto.subtle.encrypt(parameters(salt, ctr, header, envelope), key, plain);
  return concat(header, new Uint8Array(sealed));
}

/** Returns key id, counter and plaintext; throws when the tag does not verify. */
export async function open(baseKey, sframe, envelope) {
  const { kid, ctr, length } = readHeader(sframe);
  const { key, salt } = await derive(baseKey, kid, "decrypt");
  const header = sframe.subarray(0, length);
  const plain = await crypto.subtle.decrypt(parameters(salt, ctr, header, envelope), key, sframe.subarray(length));
  return { kid, ctr, plain: new Uint8Array(plain) };
}

/** The shortest header of a key id and a counter (section 4.3). */
export function writeHeader(kid, ctr) {
  const [kidBits, kidBytes] = field(kid);
  const [ctrBits, ctrBytes] = field(ctr);
  return Uint8Array.from([(kidBits << 4) | ctrBits, ...kidBytes, ...ctrBytes]);
}

export function readHeader(sframe) {
  let length = 1;
  const value = (bits) => {
    if ((bits & 8) === 0) return BigInt(bits);
    const bytes = sframe.subarray(length, length + (bits & 7) + 1);
    length += bytes.length;
    return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  };
  const kid = value(sframe[0] >> 4);
  const ctr = value(sframe[0] & 15);
  return { kid, ctr, length };
}

/** Four bits of the config byte, and the bytes that follow: small values stand in the bits themselves. */
function field(value) {
  if (value < 8n) return [Number(value), []];
  const bytes = [];
  for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 255n));
  return [8 | (bytes.length - 1), bytes];
}

/** Key and salt of a key id (section 4.4.2). */
async function derive(baseKey, kid, usage) {
  const material = await crypto.subtle.importKey("raw", baseKey, "HKDF", false, ["deriveBits"]);
  const expand = (label, length) => {
    const info = concat(new TextEncoder().encode(label), bigEndian(kid, 8), bigEndian(BigInt(SUITE), 2));
    return crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info }, material, length * 8);
  };
  const secret = await expand("SFrame 1.0 Secret key ", 16);
  const salt = new Uint8Array(await expand("SFrame 1.0 Secret salt ", NONCE_LENGTH));
  return { key: await crypto.subtle.importKey("raw", secret, "AES-GCM", false, [usage]), salt };
}

/** Nonce and additional data (section 4.4.3): the envelope is our metadata. */
function parameters(salt, ctr, header, envelope) {
  const iv = bigEndian(ctr, NONCE_LENGTH).map((byte, at) => byte ^ salt[at]);
  return { name: "AES-GCM", iv, additionalData: concat(header, envelope), tagLength: 128 };
}

function bigEndian(value, length) {
  const bytes = new Uint8Array(length);
  for (let at = length - 1; at >= 0; at--, value >>= 8n) bytes[at] = Number(value & 255n);
  return bytes;
}

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
