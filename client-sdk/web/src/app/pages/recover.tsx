/** Becomes an admin again by the twelve words, when every admin device is lost. */

import { useState } from 'preact/hooks';

import { Field, Form, Tick } from '../parts/controls.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { defaultServer, deviceName } from '../server.ts';
import type { Household } from '../../sdk/index.ts';
import { useAction } from '../watched.ts';

/** Recovers a household. */
export function RecoverPage({ household, onDone }: { household: Household; onDone: () => void }) {
  const [typed, setTyped] = useState('');
  const [name, setName] = useState(deviceName);
  const [server, setServer] = useState(defaultServer);
  const [keep, setKeep] = useState(false);
  const action = useAction();
  const submit = (): void => {
    const twelve = typed.trim().toLowerCase().split(/\s+/);
    if (twelve.length !== 12) return action.refuse(words.notTwelve(typed.trim() === '' ? 0 : twelve.length));
    action.run(async () => {
      await household.recover(server.trim(), twelve.join(' '), name.trim(), keep);
      setTyped('');
      onDone();
    });
  };
  return (
    <>
      <PageHead title={words.title} />
      <p>{words.what}</p>
      <Form action={action} say={words.recover} cancel={() => (location.hash = '#/')} onSubmit={submit}>
        <Field label={words.twelve} value={typed} onInput={setTyped} hint={words.twelveHint} long />
        <Field
          label={words.name}
          value={name}
          onInput={setName}
          input={{ autocomplete: 'off', maxLength: 64 }}
        />
        <Field
          label={words.server}
          value={server}
          onInput={setServer}
          input={{ type: 'url', autocomplete: 'off', spellcheck: false }}
        />
        <Tick label={words.keep} on={keep} onChange={setKeep} />
        {!keep && <Notice kind="warn">{words.others}</Notice>}
      </Form>
    </>
  );
}

const words = {
  title: 'Use the twelve words',
  what: 'This makes this browser an admin of the household. All other devices are told so.',
  twelve: 'The twelve words',
  twelveHint: 'In their order, with spaces between.',
  notTwelve: (count: number) => `Those are ${count} words. It takes all twelve.`,
  name: 'Name of this device',
  server: 'Server of the household',
  keep: 'The admins of before stay admins',
  others: 'The admins of before are removed. Viewers and cameras stay.',
  recover: 'Recover the household',
};
