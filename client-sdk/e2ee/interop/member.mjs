// One device of a household in another implementation: MLS by ts-mls, SFrame by WebCrypto.
//
// Driven over standard input and output: one JSON object per line and answer, byte strings as hexadecimal.
// `{"do": "<command>", ...}` is answered with `{"ok": {...}}` or `{"error": "<text>"}`.

import { createInterface } from "node:readline";
import { MlsDevice } from "./mls.mjs";
import * as sframe from "./sframe.mjs";

const device = await MlsDevice.make();

const commands = {
  identity: ({ household, device: id }) => ({ public: device.name(household, id) }),
  key_package: async () => ({ key_package: await device.keyPackage() }),
  join: async ({ welcome }) => device.join(welcome),
  found: async ({ group, extension }) => device.found(group, extension),
  commit: async ({ add = [], remove = [], extension }) => device.commit(add, remove, extension),
  process: async ({ message }) => device.process(message),
  application: async ({ content }) => ({ message: await device.application(content) }),
  base_key: async () => ({ key: hex(await device.baseKey()) }),
  seal: async ({ kid, ctr, plain, envelope }) => {
    const sealed = await sframe.seal(await device.baseKey(), BigInt(kid), BigInt(ctr), bytes(plain), bytes(envelope));
    return { sframe: hex(sealed) };
  },
  open: async ({ sframe: sealed, envelope }) => {
    const { kid, ctr, plain } = await sframe.open(await device.baseKey(), bytes(sealed), bytes(envelope));
    return { kid: kid.toString(), ctr: ctr.toString(), plain: hex(plain) };
  },
  header: ({ sframe: sealed }) => {
    const { kid, ctr, length } = sframe.readHeader(bytes(sealed));
    return { kid: kid.toString(), ctr: ctr.toString(), header: hex(sframe.writeHeader(kid, ctr)), length };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await commands[request.do](request) };
  } catch (error) {
    answer = { error: `${request.do}: ${error?.message ?? error}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function bytes(text) {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(data) {
  return Buffer.from(data).toString("hex");
}
