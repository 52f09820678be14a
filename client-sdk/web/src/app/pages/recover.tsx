/** Becomes an admin again by the twelve words, when every admin device is lost. */

import { useState } from 'preact/hooks';

import { Field, Form, Tick } from '../parts/controls.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { ServerField } from '../parts/server-field.tsx';
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
    const twelve = typed.toLowerCase().match(/\S+/g) ?? [];
    if (twelve.length !== 12) return action.refuse(words.notTwelve(twelve.length));
    if (name.trim() === '') return action.refuse(words.noName);
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
          input={{ autocomplete: 'off', maxLength: 64, dir: 'auto' }}
        />
        <ServerField label={words.server} value={server} onInput={setServer} />
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
  notTwelve: (count: number) =>
    count === 0
      ? 'Type the twelve words first.'
      : `${count === 1 ? 'That is one word' : `Those are ${count} words`}: it takes all twelve.`,
  name: 'Name of this device',
  noName: 'Give this device a name first.',
  server: 'Server of the household',
  keep: 'The earlier admins stay admins',
  others: 'The earlier admins are removed. Viewers and cameras stay.',
  recover: 'Recover the household',
};
