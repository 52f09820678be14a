/** Adds a device: what it will be, then how it and this one meet. */

import { useEffect, useState } from 'preact/hooks';

import { Button, Choose, Copy, Field, Form, Tick, Wrong } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Notice, clock } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { QrCode } from '../parts/qr.tsx';
import { Scan, canScan } from '../parts/scan.tsx';
import { inviteLink } from '../route.ts';
import type { Household, Role, Terms } from '../../sdk/index.ts';
import { sentence, useAction, useWatched } from '../watched.ts';
import { spaced } from './join.tsx';

type Way = 'invite' | 'code' | 'number';

/** Adds a device. Only an admin's device can. */
export function AddPage({ household, admin }: { household: Household; admin: boolean }) {
  const [terms, setTerms] = useState<Terms>();
  const [way, setWay] = useState<Way>();
  const backToWays = (): void => {
    void household.cancel().catch(() => undefined);
    setWay(undefined);
  };
  useEffect(() => () => void household.cancel().catch(() => undefined), [household]);
  return (
    <>
      <PageHead title={words.title} />
      {!admin && <Notice>{words.notAdmin}</Notice>}
      {admin && terms === undefined && <What household={household} onTerms={setTerms} />}
      {terms && way === undefined && <Ways terms={terms} onWay={setWay} onBack={() => setTerms(undefined)} />}
      {terms && way === 'invite' && <Invite {...{ household, terms }} onBack={backToWays} />}
      {terms && (way === 'code' || way === 'number') && (
        <LetIn {...{ household, terms }} by={way} onBack={backToWays} />
      )}
    </>
  );
}

function What({ household, onTerms }: { household: Household; onTerms: (terms: Terms) => void }) {
  const { cameras = [] } = useWatched(household);
  const [role, setRole] = useState<Role>('viewer');
  const [name, setName] = useState('');
  const [days, setDays] = useState('7');
  const [named, setNamed] = useState<readonly string[]>([]);
  const action = useAction();
  const submit = (): void => {
    if (name.trim() === '') return action.refuse(words.noName);
    const guest = role === 'guest';
    const stays = Number(days);
    if (guest && !(Number.isInteger(stays) && stays >= 1 && stays <= 30))
      return action.refuse(words.wrongDays);
    if (guest && named.length === 0) return action.refuse(words.noCamera);
    action.refuse(undefined);
    onTerms({
      role,
      name: name.trim(),
      rights: guest ? ['see'] : null,
      cameras: guest ? [...named] : null,
      days: guest ? stays : null,
    });
  };
  return (
    <Form action={action} say={words.next} cancel={toDevices} onSubmit={submit}>
      <Choose
        label={words.role}
        value={role}
        options={[
          ['viewer', words.roles.viewer],
          ['camera', words.roles.camera],
          ['guest', words.roles.guest],
          ['admin', words.roles.admin],
        ]}
        hint={words.roleHints[role]}
        onChoose={setRole}
      />
      <Field
        label={words.name}
        value={name}
        onInput={setName}
        input={{ autocomplete: 'off', maxLength: 64 }}
      />
      {role === 'guest' && (
        <>
          <Field
            label={words.days}
            value={days}
            onInput={setDays}
            input={{ type: 'number', min: 1, max: 30, inputMode: 'numeric' }}
          />
          <fieldset class="card narrow stack tight">
            <legend class="small soft">{words.cameras}</legend>
            {cameras.length === 0 && <p class="soft">{words.noCameras}</p>}
            {cameras.map((camera) => (
              <Tick
                key={camera.id}
                label={camera.name}
                on={named.includes(camera.id)}
                onChange={(on) =>
                  setNamed(on ? [...named, camera.id] : named.filter((id) => id !== camera.id))
                }
              />
            ))}
          </fieldset>
        </>
      )}
    </Form>
  );
}

function Ways(props: { terms: Terms; onWay: (way: Way) => void; onBack: () => void }) {
  return (
    <>
      <p>{words.how(props.terms.name)}</p>
      <ul class="choices">
        {WAYS.map(([to, icon]) => (
          <li key={to}>
            <button type="button" onClick={() => props.onWay(to)}>
              <Icon name={icon} size={28} />
              <strong>{words[to].name}</strong>
              <span class="soft">{words[to].what}</span>
            </button>
          </li>
        ))}
      </ul>
      <div class="line">
        <Button kind="quiet" onPress={props.onBack}>
          {words.back}
        </Button>
      </div>
    </>
  );
}

function Invite(props: { household: Household; terms: Terms; onBack: () => void }) {
  const { household, terms, onBack } = props;
  const { invite } = useWatched(household);
  const [link, setLink] = useState<string>();
  const [ends, setEnds] = useState(0);
  const action = useAction();
  const make = (): void =>
    action.run(async () => {
      setLink(inviteLink(location.href, await household.invite(terms)));
      setEnds(Date.now() + LIFETIME);
    });
  useEffect(make, []);

  if (invite?.admitted) return <Done name={terms.name} />;
  return (
    <>
      <Wrong action={action} />
      {invite?.reason && (
        <div role="alert">
          <Notice kind="warn">{sentence(invite.reason)}</Notice>
        </div>
      )}
      {link && invite === undefined && (
        <div class="stack">
          <p>{words.invite.tell(terms.name)}</p>
          <QrCode text={link} label={words.invite.qr} />
          <div class="line">
            <Copy text={link} say={words.invite.copy} />
          </div>
          <p class="soft small">{words.invite.once(clock(ends))}</p>
          <Waits say={words.waits} />
        </div>
      )}
      <div class="line">
        {invite?.reason && (
          <Button busy={action.busy} onPress={make}>
            {words.invite.anew}
          </Button>
        )}
        <Button kind="quiet" onPress={onBack}>
          {words.back}
        </Button>
      </div>
    </>
  );
}

/** How far an admin is in letting a device in that shows itself. */
type Stage =
  | { is: 'asking' }
  | { is: 'digits'; wrong?: string }
  | { is: 'waiting' }
  | { is: 'glance'; digits: string }
  | { is: 'done' };

function LetIn(props: { household: Household; terms: Terms; by: 'code' | 'number'; onBack: () => void }) {
  const { household, terms, by, onBack } = props;
  const [stage, setStage] = useState<Stage>({ is: 'asking' });
  const [shown, setShown] = useState('');
  const [digits, setDigits] = useState('');
  const [scanning, setScanning] = useState(false);
  const action = useAction();

  const confirm = async (): Promise<void> => {
    setStage({ is: 'waiting' });
    const glance = await household.confirm().catch((error: unknown) => {
      setStage({ is: 'asking' });
      throw error;
    });
    setStage({ is: 'glance', digits: glance.digits });
  };
  const meet = (text: string): void => {
    setScanning(false);
    setShown(text);
    if (text.trim() === '') return action.refuse(words[by].empty);
    action.run(async () => {
      const met = await household.letIn(text.trim(), terms);
      if (met.is === 'askDigits') setStage({ is: 'digits' });
      else await confirm();
    });
  };
  const type = (): void =>
    action.run(async () => {
      const verdict = await household.typeDigits(digits);
      setDigits('');
      if (verdict.is === 'fit') return confirm();
      if (verdict.is === 'notDigits') return setStage({ is: 'digits', wrong: words.notDigits });
      setStage(
        verdict.left > 0 ? { is: 'digits', wrong: words.wrongDigits(verdict.left) } : { is: 'asking' },
      );
      if (verdict.left === 0) action.refuse(words.tooOften);
    });
  const admit = (): void =>
    action.run(async () => {
      await household.admit();
      setStage({ is: 'done' });
    });

  switch (stage.is) {
    case 'asking':
      return (
        <>
          {scanning && <Scan onFound={meet} />}
          <Form action={action} say={words.next} cancel={onBack} onSubmit={() => meet(shown)}>
            <p>{words[by].tell}</p>
            <Field
              label={words[by].label}
              value={shown}
              onInput={setShown}
              long={by === 'code'}
              input={{ inputMode: 'numeric', autocomplete: 'off' }}
            />
            {by === 'code' && canScan() && !scanning && (
              <div class="line">
                <Button kind="quiet" icon="scan" onPress={() => setScanning(true)}>
                  {words.scan}
                </Button>
              </div>
            )}
          </Form>
        </>
      );
    case 'digits':
      return (
        <Form action={action} say={words.next} cancel={onBack} onSubmit={type}>
          <Field
            label={words.digits}
            value={digits}
            onInput={setDigits}
            hint={words.digitsHint}
            wrong={stage.wrong}
            input={{ inputMode: 'numeric', autocomplete: 'off', maxLength: 8 }}
          />
        </Form>
      );
    case 'waiting':
      return (
        <>
          <Waits say={words.waitsForYes} />
          <div class="line">
            <Button kind="quiet" onPress={onBack}>
              {words.cancel}
            </Button>
          </div>
        </>
      );
    case 'glance':
      return (
        <div class="stack">
          <p>{words.glance}</p>
          <p class="number" role="status">
            {spaced(stage.digits)}
          </p>
          <Wrong action={action} />
          <div class="line">
            <Button busy={action.busy} onPress={admit}>
              {words.same}
            </Button>
            <Button kind="quiet" disabled={action.busy} onPress={onBack}>
              {words.different}
            </Button>
          </div>
        </div>
      );
    case 'done':
      return <Done name={terms.name} />;
  }
}

function Done({ name }: { name: string }) {
  return (
    <>
      <div role="status">
        <Notice icon="check">{words.added(name)}</Notice>
      </div>
      <div class="line">
        <a class="button" href="#/devices">
          {words.toDevices}
        </a>
      </div>
    </>
  );
}

function Waits({ say }: { say: string }) {
  return (
    <p class="line soft" role="status">
      <span class="spinner" aria-hidden="true" />
      {say}
    </p>
  );
}

function toDevices(): void {
  location.hash = '#/devices';
}

/** How long an invite is good, in milliseconds. */
const LIFETIME = 600_000;

const WAYS = [
  ['invite', 'key'],
  ['code', 'scan'],
  ['number', 'numbers'],
] as const;

const words = {
  title: 'Add a device',
  notAdmin: 'Only an admin’s device can add others.',
  role: 'It will be',
  roles: { admin: 'An admin', camera: 'A camera', guest: 'A guest', viewer: 'A viewer' },
  roleHints: {
    admin: 'Watches, adds and removes devices.',
    camera: 'Sends picture and sound to the household.',
    guest: 'Watches the cameras you name, for the days you name.',
    viewer: 'Watches all cameras.',
  },
  name: 'Its name',
  noName: 'Give it a name first.',
  days: 'Days it stays (1 to 30)',
  wrongDays: 'A guest stays 1 to 30 days.',
  cameras: 'Cameras it may see',
  noCameras: 'There is no camera yet.',
  noCamera: 'Choose at least one camera.',
  next: 'Next',
  back: 'Back',
  cancel: 'Cancel',
  how: (name: string) => `How do “${name}” and this device meet?`,
  invite: {
    name: 'Show an invite here',
    what: 'It scans a QR code, or opens a link.',
    tell: (name: string) => `Scan this with “${name}”, or open the link there.`,
    qr: 'QR code of the invite link',
    copy: 'Copy the link',
    once: (until: string) =>
      `Good once, until ${until}, while this page is open. Whoever has it first gets in: show it to nobody else.`,
    anew: 'Make a new invite',
  },
  code: {
    name: 'It shows a code',
    what: 'Scan or paste what the new device shows.',
    tell: 'Scan the QR code that the new device shows, or paste its text.',
    label: 'Code of the new device',
    empty: 'Scan or paste the code first.',
  },
  number: {
    name: 'It shows a number',
    what: 'Type it, then compare six digits.',
    tell: 'Type the number that the new device shows.',
    label: 'Number of the new device',
    empty: 'Type the number first.',
  },
  scan: 'Scan with this camera',
  digits: 'Six digits that the new device shows now',
  digitsHint: 'Type them yourself: nobody in between can know them.',
  notDigits: 'Those are not six digits. Type them again.',
  wrongDigits: (left: number) =>
    `Those are others. You may type them ${left === 1 ? 'once' : `${left} times`} more.`,
  tooOften: 'The digits were wrong too often, so this came to nothing. Start again on both devices.',
  waits: 'Waiting for the device …',
  waitsForYes: 'Waiting for the new device to say yes …',
  glance: 'Does the new device show these digits too?',
  same: 'Yes, add it',
  different: 'No',
  added: (name: string) => `“${name}” is in the household.`,
  toDevices: 'See all devices',
};
