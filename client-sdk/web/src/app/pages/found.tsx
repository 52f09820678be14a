/** Makes a household: a name for this device, then the twelve words, then three of them back. */

import { useMemo, useState } from 'preact/hooks';

import { Button, Field, Form } from '../parts/controls.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { ServerField } from '../parts/server-field.tsx';
import { defaultServer, deviceName } from '../server.ts';
import { Failure } from '../../sdk/index.ts';
import type { Household } from '../../sdk/index.ts';
import { useAction } from '../watched.ts';

/** Makes a household. */
export function FoundPage({ household, onDone }: { household: Household; onDone: () => void }) {
  const [twelve, setTwelve] = useState<readonly string[]>();
  const [written, setWritten] = useState(false);
  if (twelve === undefined) return <Begin household={household} onWords={setTwelve} />;
  if (!written) return <Show twelve={twelve} onWritten={() => setWritten(true)} />;
  return <AskBack household={household} twelve={twelve} onBack={() => setWritten(false)} onDone={onDone} />;
}

function Begin(props: { household: Household; onWords: (words: readonly string[]) => void }) {
  const [server, setServer] = useState(defaultServer);
  const [name, setName] = useState(deviceName);
  const action = useAction();
  const submit = (): void => {
    if (name.trim() === '') return action.refuse(words.noName);
    action.run(async () => props.onWords(await props.household.prepare(server.trim(), name.trim())));
  };
  return (
    <>
      <PageHead title={words.title} />
      <Form action={action} say={words.next} cancel={back} onSubmit={submit}>
        <Field
          label={words.name}
          value={name}
          onInput={setName}
          hint={words.nameHint}
          input={{ autocomplete: 'off', maxLength: 64, dir: 'auto' }}
        />
        <ServerField label={words.server} value={server} hint={words.serverHint} onInput={setServer} />
      </Form>
    </>
  );
}

function Show({ twelve, onWritten }: { twelve: readonly string[]; onWritten: () => void }) {
  return (
    <>
      <PageHead title={words.wordsTitle} />
      <p>{words.wordsWhat}</p>
      <ol class="words" translate={false}>
        {twelve.map((word, index) => (
          <li key={index}>{word}</li>
        ))}
      </ol>
      <Notice kind="warn">{words.wordsOnce}</Notice>
      <div class="line">
        <Button onPress={onWritten}>{words.written}</Button>
      </div>
    </>
  );
}

function AskBack(props: {
  household: Household;
  twelve: readonly string[];
  onBack: () => void;
  onDone: () => void;
}) {
  const { household, twelve, onBack, onDone } = props;
  const asked = useMemo(() => threeOf(twelve.length), [twelve]);
  const [typed, setTyped] = useState<readonly string[]>(['', '', '']);
  const [invite, setInvite] = useState('');
  const [wantsInvite, setWantsInvite] = useState(false);
  const action = useAction();
  const submit = (): void => {
    const wrong = asked.find((place, index) => typed[index]?.trim().toLowerCase() !== twelve[place]);
    if (wrong !== undefined) return action.refuse(words.wrongWord(wrong + 1));
    action.run(async () => {
      try {
        await household.found(invite.trim() || undefined);
      } catch (error) {
        if (error instanceof Failure && error.code.startsWith('invite')) setWantsInvite(true);
        throw error;
      }
      onDone();
    });
  };
  return (
    <>
      <PageHead title={words.askTitle} />
      <p>{words.askWhat}</p>
      <Form action={action} say={words.make} cancel={onBack} cancelSay={words.again} onSubmit={submit}>
        {asked.map((place, index) => (
          <Field
            key={place}
            label={words.word(place + 1)}
            value={typed[index] ?? ''}
            onInput={(value) => setTyped((before) => before.with(index, value))}
            input={{ autocomplete: 'off', autocapitalize: 'none', spellcheck: false }}
          />
        ))}
        {wantsInvite && (
          <Field
            label={words.invite}
            value={invite}
            onInput={setInvite}
            hint={words.inviteHint}
            input={{ autocomplete: 'off', spellcheck: false }}
          />
        )}
      </Form>
    </>
  );
}

/** Three different places, in order. */
function threeOf(count: number): readonly number[] {
  const places = Array.from({ length: count }, (_, place) => place);
  const drawn: number[] = [];
  while (drawn.length < 3 && places.length > 0) {
    const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
    drawn.push(...places.splice(random % places.length, 1));
  }
  return drawn.toSorted((one, other) => one - other);
}

function back(): void {
  location.hash = '#/';
}

const words = {
  title: 'Make a household',
  name: 'Name of this device',
  nameHint: 'So that the others know it. The server cannot read it.',
  noName: 'Give this device a name first.',
  server: 'Server',
  serverHint: 'Where your cameras and devices meet. It carries sealed frames and can open none.',
  next: 'Next',
  wordsTitle: 'Write these twelve words down',
  wordsWhat: 'On paper, in this order. With them you get the household back when every admin device is lost.',
  wordsOnce: 'They are shown this once and kept nowhere. Whoever has them can take the household over.',
  written: 'I have written them down',
  askTitle: 'Three of them, please',
  askWhat: 'Look at your paper.',
  word: (number: number) => `Word ${number}`,
  wrongWord: (number: number) =>
    `Word ${number} is another one. Look at your paper, or have the words shown again.`,
  make: 'Make the household',
  again: 'Show the words again',
  invite: 'Invite code of the server',
  inviteHint: 'This server lets in only who has one. Ask whoever runs it.',
};
