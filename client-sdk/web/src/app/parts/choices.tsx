/** A list of ways to go on, of which one is chosen: an icon, a name, and what it means in a few words. */

import { Icon } from './icons.tsx';
import type { IconName } from './icons.tsx';

/** One way to go on. */
export interface Choice<Value extends string> {
  value: Value;
  icon: IconName;
  name: string;
  what: string;
}

/** Shows each way as one large button; as a link where `addressOf` names its page. */
export function Choices<Value extends string>(props: {
  of: readonly Choice<Value>[];
  addressOf?: (value: Value) => string;
  onChoose?: (value: Value) => void;
}) {
  const { of, addressOf, onChoose } = props;
  return (
    <ul class="choices">
      {of.map((choice) => (
        <li key={choice.value}>
          {addressOf ? (
            <a href={addressOf(choice.value)}>
              <Inside {...choice} />
            </a>
          ) : (
            <button type="button" onClick={() => onChoose?.(choice.value)}>
              <Inside {...choice} />
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Inside({ icon, name, what }: Omit<Choice<string>, 'value'>) {
  return (
    <>
      <Icon name={icon} size={28} />
      <strong>{name}</strong>
      <span class="soft">{what}</span>
    </>
  );
}
