/** What the household has to say: alarms above everything, notices below them. */

import type { ComponentChildren } from 'preact';

import { IconButton } from './controls.tsx';
import { Icon } from './icons.tsx';
import type { IconName } from './icons.tsx';
import type { Household, Said } from '../../sdk/index.ts';
import { sentence } from '../watched.ts';

/** A short message in a box. */
export function Notice(props: {
  kind?: 'warn' | 'alarm';
  icon?: IconName;
  title?: string;
  children?: ComponentChildren;
}) {
  const { kind, icon = kind === undefined ? 'shield' : 'alarm', title, children } = props;
  return (
    <div class={`notice ${kind ?? ''}`}>
      <Icon name={icon} />
      <div>
        {title && <strong>{title} </strong>}
        {children}
      </div>
    </div>
  );
}

/** Alarms and notices of the household. They stay until somebody takes them off. */
export function Saids(props: { household: Household; alarms: readonly Said[]; notices: readonly Said[] }) {
  const { household, alarms, notices } = props;
  return (
    <>
      <div role="alert" class="stack tight">
        {alarms.map((alarm) => (
          <Alarm key={alarm.id} alarm={alarm} onGone={() => household.dismiss('alarms', alarm.id)} />
        ))}
      </div>
      <div role="status">{notices.length > 0 && <News household={household} notices={notices} />}</div>
    </>
  );
}

function Alarm({ alarm, onGone }: { alarm: Said; onGone: () => void }) {
  return (
    <div class="notice alarm" data-code={alarm.code}>
      <Icon name="alarm" />
      <div>
        <strong>{words.alarm} </strong>
        <Sentence said={alarm} />
      </div>
      <IconButton icon="check" label={words.readAlarm} onPress={onGone} />
    </div>
  );
}

/** Everything that changed in the household, newest first, read with one press. */
function News({ household, notices }: { household: Household; notices: readonly Said[] }) {
  const read = (): void => {
    for (const { id } of notices) household.dismiss('notices', id);
  };
  return (
    <div class="notice">
      <Icon name="house" />
      <ul class="stack tight">
        {notices.slice(0, MOST_NEWS).map((notice) => (
          <li key={notice.id} data-code={notice.code}>
            <Sentence said={notice} />
          </li>
        ))}
        {notices.length > MOST_NEWS && <li class="soft small">{words.more(notices.length - MOST_NEWS)}</li>}
      </ul>
      <IconButton icon="check" label={words.read} onPress={read} />
    </div>
  );
}

function Sentence({ said }: { said: Said }) {
  return (
    <>
      {sentence(said.text)}{' '}
      <span class="soft small">
        {clock(said.at)}
        {said.times > 1 && `, ${said.times} times`}
      </span>
    </>
  );
}

/** Returns the time of day of a moment. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

/** Returns the day of a moment. */
export function day(at: number): string {
  return new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
}

/** Notices shown at once. */
const MOST_NEWS = 3;

const words = {
  alarm: 'Alarm.',
  readAlarm: 'I have read this alarm',
  read: 'I have read this',
  more: (count: number) => `and ${count} more before that.`,
};
