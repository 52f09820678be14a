/** A device in the module, in node and in browsers alike: it needs nothing of either. */

/** What both kinds of device have in common. */
export class Device {
  /** Waits until it was told something that `wanted` picks. */
  async told(what, wanted) {
    return eventually(what, async () => (await this.events()).find(wanted));
  }

  /** Founds a household. */
  async found(server, name) {
    await this.call('prepareHousehold', { server, deviceName: name });
    return this.call('found', { inviteCode: null });
  }

  /** Lets `device` in by the code that it shows. */
  async letIn(server, device, role, name) {
    const kind = role === 'camera' ? 'camera' : 'viewer';
    const { shown } = await device.call('arrive', { server, kind, by: 'code' });
    const terms = { role, name, rights: null, cameras: null, days: null };
    await this.call('letIn', { shown, terms });
    await this.call('confirm', {});
    const admitted = await this.call('admit', {});
    await device.told(`${name} is listed`, (event) => event.stage?.is === 'listed');
    return admitted.device;
  }
}

/** A device in the module. */
export class WasmDevice extends Device {
  told_ = [];
  stored;

  constructor(module, stored) {
    super();
    this.module = module;
    this.core = new module.Core(
      {
        tell: (event) => this.told_.push(JSON.parse(event)),
        retry: () => undefined,
        store: async (state) => void (this.stored = state),
        erase: () => (this.stored = undefined),
      },
      stored,
    );
  }

  async call(call, argument) {
    try {
      return JSON.parse(await this.core.call(JSON.stringify({ [call]: argument })));
    } catch (error) {
      throw new Error(`${call}: ${error}`, { cause: error });
    }
  }

  async events() {
    return this.told_;
  }

  async seal(session, { codec, key, data }) {
    const sealer = this.core.sealer(session);
    const verdict = sealer.seal(0, codec, key, 0, Buffer.from(data, 'hex'));
    return verdict === 0 ? Buffer.from(sealer.take()).toString('hex') : undefined;
  }

  async open(session, codec, wire) {
    const opener = this.core.opener(session);
    const verdict = opener.open(codec, Buffer.from(wire, 'hex'));
    if (verdict === 0) return { plain: Buffer.from(opener.take()).toString('hex') };
    return { verdict: this.module.Verdict[verdict] };
  }
}

/** Waits until `found` returns something; 30 s is a limit for what must happen at all. */
export async function eventually(what, found) {
  const began = performance.now();
  for (;;) {
    const there = await found();
    if (there) return there;
    if (performance.now() - began > 30_000) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Founds a household of an admin, a camera and a viewer who watches it; returns the camera and the sessions to seal and open in. */
export async function watchedDoor(server, [ada, door, bob]) {
  await ada.found(server, 'Ada');
  const camera = await ada.letIn(server, door, 'camera', 'Door');
  await ada.letIn(server, bob, 'viewer', 'Bob');
  const { session: sending } = await door.call('publish', {});
  await door.told('the group is whole', (event) => event.event === 'newEpoch' && event.members === 3);
  const { session: watching } = await bob.call('watch', { camera });
  await bob.told('the key is known', (event) => event.event === 'stepDone' && event.step === 'keyKnown');
  return { camera, sending, watching };
}
