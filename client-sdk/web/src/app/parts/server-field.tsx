/** Where the household's server is: the one that serves this page, unless somebody types another. */

import { Field } from './controls.tsx';

/** The address of a server. */
export function ServerField(props: {
  label: string;
  value: string;
  hint?: string;
  onInput: (value: string) => void;
}) {
  const { label, value, hint, onInput } = props;
  return (
    <Field
      label={label}
      value={value}
      onInput={onInput}
      {...(hint === undefined ? {} : { hint })}
      input={{
        type: 'url',
        inputMode: 'url',
        autocomplete: 'off',
        autocapitalize: 'none',
        spellcheck: false,
      }}
    />
  );
}
