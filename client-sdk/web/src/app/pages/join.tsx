/** Joins a household: by an admin's invite, or by showing this device to an admin. */

import { useEffect, useState } from 'preact/hooks';

import { Button, Choose, Copy, Form, Wrong } from '../parts/controls.tsx';
import { Choices } from '../parts/choices.tsx';
import type { Choice } from '../parts/choices.tsx';
import { CodeField } from '../parts/code-field.tsx';
import { Digits } from '../parts/digits.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { QrCode } from '../parts/qr.tsx';
import { ServerField } from '../parts/server-field.tsx';
import { Waits } from '../parts/waits.tsx';
import { quoted } from '../names.ts';
import { inviteIn } from '../route.ts';
import { defaultServer } from '../server.ts';
import type { ArrivalStage, Household, Kind } from '../../sdk/index.ts';
import { sentence, useAction, useWatched } from '../watched.ts';

type Way = 'invite' | 'code' | 'number';

/** Joins a household. */
export function JoinPage({ household, onDone }: { household: Household; onDone: () => void }) {
  const [way, setWay] = useState<Way>();
  const [kind, setKind] = useState<Kind>('viewer');
  const leave = (): void => setWay(undefined);
  if (way === 'invite') return <ByInvite household={household} onDone={onDone} onBack={leave} />;
  if (way) return <ByShowing {...{ household, kind, onDone }} by={way} onBack={leave} />;
  return (
    <>
      <PageHead title={words.title} />
      <Choose
        label={words.kind}
        value={kind}
        options={[
          ['viewer', words.viewer],
          ['camera', words.camera],
        ]}
        onChoose={setKind}
      />
      <Choices of={WAYS} onChoose={setWay} />
      <div class="line">
        <a class="button quiet" href="#/">
          {words.cancel}
        </a>
      </div>
    </>
  );
}

function ByInvite(props: { household: Household; onDone: () => void; onBack: () => void }) {
  const { household, onDone, onBack } = props;
  const [code, setCode] = useState('');
  const action = useAction();
  const join = (text: string): void =>
    action.run(async () => {
      await household.join(codeOf(text));
      onDone();
    });
  return (
    <>
      <PageHead title={words.invite.name} />
      <Form
        action={action}
        say={action.busy ? words.waiting : words.join}
        cancel={() => {
          void household.cancel();
          onBack();
        }}
        onSubmit={() => (code.trim() === '' ? action.refuse(words.noCode) : join(code))}
      >
        <CodeField
          label={words.codeLabel}
          value={code}
          hint={words.codeHint}
          busy={action.busy}
          onInput={setCode}
          onScan={join}
        />
      </Form>
    </>
  );
}

function ByShowing(props: {
  household: Household;
  kind: Kind;
  by: 'code' | 'number';
  onDone: () => void;
  onBack: () => void;
}) {
  const { household, kind, by, onDone, onBack } = props;
  const [server, setServer] = useState(defaultServer);
  const [shown, setShown] = useState<string>();
  const action = useAction();
  const { arrival } = useWatched(household);
  useEffect(() => {
    if (arrival?.is !== 'listed') return;
    household.refresh().then(onDone, onDone);
  }, [arrival, household, onDone]);

  const leave = (): void => {
    void household.cancel();
    onBack();
  };
  if (shown === undefined) {
    const show = (): void =>
      action.run(async () => setShown(await household.arrive(server.trim(), kind, by)));
    return (
      <>
        <PageHead title={words[by].name} />
        <Form action={action} say={words.show} cancel={onBack} onSubmit={show}>
          <ServerField label={words.server} value={server} hint={words.serverHint} onInput={setServer} />
        </Form>
      </>
    );
  }
  return (
    <>
      <PageHead title={words[by].name} />
      {arrival === undefined && <Shown by={by} shown={shown} />}
      {arrival && <Stage household={household} stage={arrival} />}
      <div class="line">
        <Button kind="quiet" onPress={leave}>
          {arrival?.is === 'failed' ? words.backWord : words.cancel}
        </Button>
      </div>
    </>
  );
}

function Shown({ by, shown }: { by: 'code' | 'number'; shown: string }) {
  return (
    <div class="stack">
      <p>{words[by].tell}</p>
      {by === 'code' ? (
        <>
          <QrCode text={shown} label={words.qr} />
          <p class="code">{shown}</p>
          <div class="line">
            <Copy text={shown} say={words.copy} />
          </div>
        </>
      ) : (
        <Digits digits={shown} />
      )}
      <Waits say={words.waits} />
    </div>
  );
}

function Stage({ household, stage }: { household: Household; stage: ArrivalStage }) {
  const action = useAction();
  const [answered, setAnswered] = useState(false);
  const answer = (fit: boolean): void =>
    action.run(async () => {
      await household.digitsFit(fit);
      setAnswered(true);
    });
  switch (stage.is) {
    case 'digits':
      return (
        <div class="stack">
          <p>{words.digits}</p>
          <Digits digits={stage.digits} />
          {answered ? (
            <Waits say={words.waits} />
          ) : (
            <>
              <p>{words.fit}</p>
              <Wrong action={action} />
              <div class="line">
                <Button busy={action.busy} onPress={() => answer(true)}>
                  {words.yes}
                </Button>
                <Button kind="quiet" disabled={action.busy} onPress={() => answer(false)}>
                  {words.no}
                </Button>
              </div>
            </>
          )}
        </div>
      );
    case 'invited':
      return (
        <div class="stack">
          <p role="status">{words.invited(stage.name)}</p>
          <Digits digits={stage.glance} />
          <Waits say={words.glance} />
        </div>
      );
    case 'listed':
      return <p role="status">{words.listed}</p>;
    case 'failed':
      return (
        <div role="alert">
          <Notice kind="alarm">{sentence(stage.reason)}</Notice>
        </div>
      );
  }
}

/** Returns the code of a link, or the code itself. */
function codeOf(text: string): string {
  const trimmed = text.trim();
  const hash = trimmed.indexOf('#');
  return hash < 0 ? trimmed : (inviteIn(trimmed.slice(hash)) ?? trimmed);
}

const WAYS: readonly Choice<Way>[] = [
  {
    value: 'invite',
    icon: 'key',
    name: 'I have an invite',
    what: 'A QR code or link that an admin’s device shows.',
  },
  {
    value: 'code',
    icon: 'scan',
    name: 'Show a QR code here',
    what: 'An admin scans it.',
  },
  {
    value: 'number',
    icon: 'numbers',
    name: 'Compare six digits',
    what: 'Two screens, no camera needed.',
  },
];

const words = {
  title: 'Join a household',
  kind: 'This device will',
  viewer: 'Watch cameras',
  camera: 'Be a camera',
  cancel: 'Cancel',
  backWord: 'Back',
  server: 'Server of the household',
  serverHint: 'The admin’s settings page shows it.',
  show: 'Show it',
  waits: 'Waiting for the admin …',
  qr: 'QR code with which an admin lets this device in',
  copy: 'Copy the code',
  invite: {
    name: 'I have an invite',
  },
  code: {
    name: 'Show a QR code here',
    tell: 'On an admin’s device: Devices, “Add a device”, “It shows a code”. It is good once, for ten minutes, and whoever sees it could let this device in: show it to the admin only.',
  },
  number: {
    name: 'Compare six digits',
    tell: 'On an admin’s device: Devices, “Add a device”, “It shows a number”. Type this number there:',
  },
  codeLabel: 'Invite link or code',
  codeHint: 'Paste the link or the code that begins with latchkey1-.',
  noCode: 'Paste the invite first.',
  join: 'Join',
  waiting: 'Waiting for the admin',
  digits: 'Type these six digits on the admin’s device:',
  fit: 'Did the admin’s device say that they are right?',
  yes: 'Yes, they are right',
  no: 'No',
  invited: (name: string) => `An admin lets this device in as ${quoted(name)}. Both screens show:`,
  glance: 'Waiting until the admin has added this device …',
  listed: 'This device is in the household.',
};
