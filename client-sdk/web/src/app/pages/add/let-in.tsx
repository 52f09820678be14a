/** Lets a device in that shows itself: by its code, or by its number and six digits. */

import { useState } from 'preact/hooks';

import { Button, Field, Form, Wrong } from '../../parts/controls.tsx';
import { CodeField } from '../../parts/code-field.tsx';
import { Digits } from '../../parts/digits.tsx';
import { Waits } from '../../parts/waits.tsx';
import type { Household, Terms } from '../../../sdk/index.ts';
import { useAction } from '../../watched.ts';
import { Done } from './done.tsx';

/** How far it is. */
type Stage =
  | { is: 'asking' }
  | { is: 'digits'; wrong?: string }
  | { is: 'waiting' }
  | { is: 'glance'; digits: string }
  | { is: 'done' };

/** Meets the device and puts it on the list. */
export function LetIn(props: {
  household: Household;
  terms: Terms;
  by: 'code' | 'number';
  onBack: () => void;
}) {
  const { household, terms, by, onBack } = props;
  const [stage, setStage] = useState<Stage>({ is: 'asking' });
  const [shown, setShown] = useState('');
  const [digits, setDigits] = useState('');
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
        <Form action={action} say={words.next} cancel={onBack} onSubmit={() => meet(shown)}>
          <p>{words[by].tell}</p>
          {by === 'code' ? (
            <CodeField
              label={words.code.label}
              value={shown}
              busy={action.busy}
              onInput={setShown}
              onScan={meet}
            />
          ) : (
            <Field label={words.number.label} value={shown} onInput={setShown} digits />
          )}
        </Form>
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
            digits
            input={{ maxLength: 8 }}
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
          <Digits digits={stage.digits} />
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

const words = {
  next: 'Next',
  cancel: 'Cancel',
  code: {
    tell: 'Scan the QR code that the new device shows, or paste its text.',
    label: 'Code of the new device',
    empty: 'Scan or paste the code first.',
  },
  number: {
    tell: 'Type the number that the new device shows.',
    label: 'Number of the new device',
    empty: 'Type the number first.',
  },
  digits: 'Six digits that the new device shows now',
  digitsHint: 'Type them yourself: nobody in between can know them.',
  notDigits: 'Those are not six digits. Type them again.',
  wrongDigits: (left: number) =>
    `Those are not the right digits. You can try ${left === 1 ? 'once' : `${left} times`} more.`,
  tooOften: 'The digits were wrong too often, so nothing was added. Start again on both devices.',
  waitsForYes: 'Waiting for the new device to say yes …',
  glance: 'Does the new device show these digits too?',
  same: 'Yes, add it',
  different: 'No',
};
