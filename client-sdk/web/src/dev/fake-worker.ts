/** Development only, never shipped: answers calls as the real worker would in one scene, so that pages can be looked at. */

import type { Event as WorkerEvent, Figures } from '../sdk/generated/face.ts';
import type { Calls, CallMessage } from '../sdk/link.ts';
import type { LockState } from '../sdk/lock.ts';
import { camerasOf, devicesOf, ids, memberOf } from './scenes.ts';

type Handler = {
  [Name in keyof Calls]: (argument: Calls[Name][0]) => Calls[Name][1] | Promise<Calls[Name][1]>;
};

const scene = self.name;
let devices = devicesOf(scene);
let version = 7;
const member = memberOf(scene);

const words = 'orbit lemon velvet captain river noble hazard window stool amateur fabric zero'.split(' ');

const lock = { credential: new Uint8Array(16), question: new Uint8Array(32) };
let lockState: LockState = {
  lock: scene === 'locked' || scene === 'haslock' ? lock : undefined,
  locked: scene === 'locked',
};

let sessions = 0;
const stories = new Map<number, number>();

const handlers: Handler = {
  lockState: () => lockState,
  unlock: () => (lockState = { lock, locked: false }),
  lock: () => (lockState = { lock, locked: false }),
  takeLockOff: () => (lockState = { lock: undefined, locked: false }),
  eraseLocked: () => (lockState = { lock: undefined, locked: false }),
  open: () =>
    scene === 'new' || scene === 'used'
      ? { is: 'nobody' }
      : { is: 'member', ...(scene === 'removed' ? { ...member, role: null } : member) },
  prepareHousehold: () => ({ words: [...words] }),
  found: () => ({ is: 'member', ...member }),
  join: async () => {
    if (scene === 'used')
      throw fault('code-used', 'this invite code has been used already: ask for a new code');
    await wait(60_000);
    return { is: 'member', ...member };
  },
  arrive: ({ by }) => {
    if (by === 'number')
      setTimeout(() => tell({ event: 'arrival', stage: { is: 'digits', digits: '274913' } }), 1_500);
    return {
      shown:
        by === 'number'
          ? '4821 7730'
          : `LK1:${'AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYUCULBOGAZDINRYHI6D4QA'.repeat(2)}`,
    };
  },
  digitsFit: () => {
    tell({
      event: 'arrival',
      stage: { is: 'invited', name: 'Ada’s phone', role: 'viewer', glance: '904118' },
    });
    return {};
  },
  recover: () => ({ is: 'member', ...member }),
  cancel: () => ({}),
  invite: () => ({ code: `latchkey1-${'mB3xq7Rk0vYt5JwZ'.repeat(6)}` }),
  letIn: ({ shown }) => (shown.startsWith('LK1') ? { is: 'sure', kind: 'viewer' } : { is: 'askDigits' }),
  typeDigits: ({ digits }) => (digits === '274913' ? { is: 'fit' } : { is: 'wrong', left: 2 }),
  confirm: async () => {
    await wait(800);
    return { digits: '904118' };
  },
  admit: () => ({ device: ids.tablet, listVersion: ++version }),
  devices: () => ({ listVersion: version, devices }),
  remove: ({ device: gone }) => {
    devices = devices.filter((one) => one.id !== gone);
    version += 1;
    setTimeout(() => {
      tell({
        event: 'removal',
        device: gone,
        camera: ids.door,
        cameraName: 'Front door',
        epoch: 42,
        reason: null,
      });
      tell({
        event: 'removal',
        device: gone,
        camera: ids.garden,
        cameraName: 'Garden, behind the shed',
        epoch: null,
        reason: 'the camera is off',
      });
    }, 300);
    return { listVersion: version, joined: false };
  },
  rename: () => ({ listVersion: ++version, joined: false }),
  change: () => ({ listVersion: ++version, joined: false }),
  renewCamera: () => ({ listVersion: ++version, joined: false }),
  safetyNumber: () => ({
    groups: [
      '48213',
      '00917',
      '55120',
      '83346',
      '19902',
      '70415',
      '26638',
      '91007',
      '34852',
      '60071',
      '15539',
      '88264',
    ],
    qr: `LATCHKEY:SN1:7:${'482130091755120'.repeat(4)}`,
    listVersion: version,
  }),
  cameras: () => {
    if (scene === 'offline') throw unreachable();
    return { cameras: camerasOf(scene) };
  },
  forget: () => ({}),
  watch: () => {
    const session = ++sessions;
    stories.set(session, performance.now());
    setTimeout(() => step(session, 'signalling'), 20);
    setTimeout(() => {
      tell({
        event: 'watching',
        session,
        devices: devices.filter((one) => one.role !== 'camera').map(({ id, name }) => ({ device: id, name })),
      });
      tell({ event: 'newEpoch', session, epoch: 41, members: 5 });
    }, 60);
    return { session };
  },
  door: ({ session }) => {
    if (scene === 'offline') throw unreachable();
    if (scene === 'stuck') throw fault('no-publisher', 'nobody publishes into the room: it left just now');
    return { url: `${location.origin}/fake-whep/${session}`, grant: 'grant' };
  },
  tellStep: ({ session, step: name, reason }) => {
    if (reason === null) step(session, name);
    else tell({ event: 'trying', session, step: name, reason });
    return {};
  },
  unwatch: () => ({}),
  publish: () => {
    const session = ++sessions;
    stories.set(session, performance.now());
    setTimeout(() => {
      step(session, 'signalling');
      step(session, 'keyKnown');
      tell({ event: 'watching', session, devices: [{ device: ids.tablet, name: 'Kitchen tablet' }] });
      tell({ event: 'newEpoch', session, epoch: 41, members: 5 });
    }, 30);
    return { session };
  },
  unpublish: () => ({}),
};

self.addEventListener('message', (message: MessageEvent<CallMessage>) => {
  const { id, call, with: argument } = message.data;
  const handle = handlers[call] as (argument: unknown) => unknown;
  Promise.resolve()
    .then(() => handle(argument))
    .then(
      (reply) => self.postMessage({ id, reply }),
      (error: unknown) => self.postMessage({ id, fault: error }),
    );
});

if (scene === 'alarms') {
  setTimeout(() => {
    tell({
      event: 'alarm',
      session: null,
      code: 'list-rolled-back',
      text: 'the server shows device lists only up to 3 although list 7 exists; it may hide a removal: ask whoever runs the server',
    });
    tell({
      event: 'notice',
      code: 'device-added',
      text: '"Ada’s laptop" added "Kitchen tablet" (viewer) to the household',
    });
  }, 100);
}

/** Frames pass as they are: the dev page's own sender does not seal. */
self.addEventListener('rtctransform', (event) => {
  const { transformer } = event as unknown as {
    transformer: {
      readable: ReadableStream;
      writable: WritableStream;
      options: { session: number; codec: string; does: string };
    };
  };
  const { session, codec, does } = transformer.options;
  if (does === 'hold') return;
  let frames = 0;
  const counting = new TransformStream<unknown, unknown>({
    transform(frame, controller) {
      if (frames++ === 0 && codec !== 'opus') {
        step(session, 'firstPacket');
        step(session, 'keyKnown');
        step(session, 'firstFrame');
        setInterval(() => tell({ event: 'figures', session, figures: figures(frames) }), 1_000);
        tell({
          event: 'sending',
          session,
          figures: {
            sealedVideo: frames,
            sealedAudio: 0,
            failed: [],
            epoch: 41,
            fps: 30,
            bitsPerSecond: 2_310_000,
          },
        });
      }
      controller.enqueue(frame);
    },
  });
  void transformer.readable.pipeThrough(counting).pipeTo(transformer.writable);
});

function figures(frames: number): Figures {
  return {
    openedVideo: frames,
    openedAudio: 0,
    failed: [],
    fps: 30,
    bitsPerSecond: 2_310_000,
    ageMs: 61,
    signed: frames,
    unverified: 0,
    forged: 0,
    authenticity: scene === 'forged' ? 'forged' : 'signed',
    live: scene !== 'forged',
    blind: false,
  };
}

function step(session: number, name: Extract<WorkerEvent, { event: 'stepDone' }>['step']): void {
  tell({
    event: 'stepDone',
    session,
    step: name,
    ms: Math.round(performance.now() - (stories.get(session) ?? 0)),
  });
}

function tell(event: WorkerEvent): void {
  self.postMessage(event);
}

function fault(code: string, text: string) {
  return { code, text };
}

function unreachable() {
  return fault(
    'unreachable',
    'the server at cameras.example.org does not answer (the network is down): check the address and that it runs',
  );
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
