/** Buttons that wait, fields that say what is wrong, and a question before what cannot be undone. */

import type { ComponentChildren, InputHTMLAttributes } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

import { Icon } from './icons.tsx';
import type { IconName } from './icons.tsx';
import type { Action } from '../watched.ts';

/** A button; while its action runs it says so and cannot be pressed. */
export function Button(props: {
  children: ComponentChildren;
  kind?: 'quiet' | 'bare' | 'danger' | undefined;
  icon?: IconName;
  busy?: boolean;
  disabled?: boolean;
  submit?: boolean;
  /** It has the focus when its window opens. */
  first?: boolean;
  onPress?: () => void;
}) {
  const { children, kind, icon, busy = false, disabled = false, submit = false, first, onPress } = props;
  return (
    <button
      type={submit ? 'submit' : 'button'}
      class={`button ${kind ?? ''}`}
      disabled={busy || disabled}
      aria-busy={busy}
      {...(first && { autofocus: true })}
      onClick={onPress}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A button that shows an icon only; `label` is what it says to screen readers and on hovering. */
export function IconButton(props: { icon: IconName; label: string; pressed?: boolean; onPress: () => void }) {
  const { icon, label, pressed, onPress } = props;
  return (
    <button
      type="button"
      class="button icon quiet"
      aria-label={label}
      title={label}
      {...(pressed === undefined ? {} : { 'aria-pressed': pressed })}
      onClick={onPress}
    >
      <Icon name={icon} />
    </button>
  );
}

/** One line to type into. */
export function Field(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: string;
  wrong?: string | undefined;
  /** A text of several lines. */
  long?: boolean;
  /** A number that is read off another screen. */
  digits?: boolean;
  input?: InputHTMLAttributes<HTMLInputElement>;
}) {
  const { label, value, onInput, hint, wrong, long = false, digits = false, input = {} } = props;
  const id = useId();
  const about = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(' ');
  const shared = {
    id,
    value,
    'aria-invalid': wrong !== undefined,
    ...(about && { 'aria-describedby': about }),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {long ? (
        <textarea
          {...shared}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      ) : (
        <input
          {...shared}
          {...(digits && { class: 'digits', inputMode: 'numeric', autocomplete: 'off' })}
          {...input}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
      {hint && (
        <p id={`${id}-hint`} class="soft small">
          {hint}
        </p>
      )}
      {wrong && (
        <p id={`${id}-wrong`} class="wrong small" role="alert">
          {wrong}
        </p>
      )}
    </div>
  );
}

/** One of a few. */
export function Choose<Value extends string>(props: {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChoose: (value: Value) => void;
  hint?: string | undefined;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <div class="select">
        <select
          id={id}
          value={props.value}
          {...(props.hint && { 'aria-describedby': `${id}-hint` })}
          onChange={(event) => {
            const chosen = props.options.find(([value]) => value === event.currentTarget.value);
            if (chosen) props.onChoose(chosen[0]);
          }}
        >
          {props.options.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
        <Icon name="down" />
      </div>
      {props.hint && (
        <p id={`${id}-hint`} class="soft small">
          {props.hint}
        </p>
      )}
    </div>
  );
}

/** A box to tick. */
export function Tick(props: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  const id = useId();
  return (
    <div class="choice">
      <input
        id={id}
        type="checkbox"
        checked={props.on}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <label for={id}>
        <bdi>{props.label}</bdi>
      </label>
    </div>
  );
}

/** A form whose button runs an action; what went wrong stands above the button. */
export function Form(props: {
  children: ComponentChildren;
  action: Action;
  say: string;
  cancel?: () => void;
  cancelSay?: string;
  onSubmit: () => void;
}) {
  const { children, action, say, cancel, cancelSay = 'Cancel', onSubmit } = props;
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
      <Wrong action={action} />
      <div class="line">
        <Button submit busy={action.busy}>
          {say}
        </Button>
        {cancel && (
          <Button kind="quiet" onPress={cancel}>
            {cancelSay}
          </Button>
        )}
      </div>
    </form>
  );
}

/** What went wrong with an action, if anything. */
export function Wrong({ action }: { action: Pick<Action, 'wrong'> }) {
  return action.wrong ? (
    <div class="notice alarm" role="alert">
      <Icon name="alarm" />
      <div>{action.wrong}</div>
    </div>
  ) : null;
}

/** A question in a window of its own, before something that cannot be undone. */
export function Ask(props: {
  title: string;
  children: ComponentChildren;
  yes: string;
  danger?: boolean;
  busy?: boolean;
  onYes: () => void;
  onNo: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    // Closed, not only taken away: then the focus goes back to where it came from.
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onNo();
      }}
    >
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          props.onYes();
        }}
      >
        <h2 id={id}>{props.title}</h2>
        {props.children}
        <div class="line">
          <Button submit kind={props.danger ? 'danger' : undefined} busy={props.busy ?? false}>
            {props.yes}
          </Button>
          <Button kind="quiet" first={props.danger ?? false} onPress={props.onNo}>
            Cancel
          </Button>
        </div>
      </form>
    </dialog>
  );
}

/** Copies a text; says so for a moment. Where the browser does not let pages copy, it shows the text instead. */
export function Copy({ text, say }: { text: string; say: string }) {
  const [copied, setCopied] = useState<'yes' | 'refused'>();
  useEffect(() => {
    if (copied !== 'yes') return undefined;
    const timer = setTimeout(() => setCopied(undefined), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied('yes');
    } catch {
      setCopied('refused');
    }
  };
  return (
    <>
      <Button kind="quiet" icon={copied === 'yes' ? 'check' : 'copy'} onPress={() => void copy()}>
        {copied === 'yes' ? 'Copied' : say}
      </Button>
      <span class="for-readers" role="status">
        {copied === 'yes' ? 'Copied' : ''}
      </span>
      {copied === 'refused' && (
        <div role="status">
          <p class="small">This browser does not let the page copy. Select this text and copy it:</p>
          <p class="code">{text}</p>
        </div>
      )}
    </>
  );
}
