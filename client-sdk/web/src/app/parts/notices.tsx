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
          <One key={alarm.id} said={alarm} alarm onGone={() => household.dismiss('alarms', alarm.id)} />
        ))}
      </div>
      <div role="status" class="stack tight">
        {notices.map((notice) => (
          <One key={notice.id} said={notice} onGone={() => household.dismiss('notices', notice.id)} />
        ))}
      </div>
    </>
  );
}

function One({ said, alarm = false, onGone }: { said: Said; alarm?: boolean; onGone: () => void }) {
  return (
    <div class={`notice ${alarm ? 'alarm' : ''}`} data-code={said.code}>
      <Icon name={alarm ? 'alarm' : 'house'} />
      <div>
        {alarm && <strong>{words.alarm} </strong>}
        {sentence(said.text)}{' '}
        <span class="soft small">
          {clock(said.at)}
          {said.times > 1 && `, ${said.times} times`}
        </span>
      </div>
      <IconButton icon="check" label={alarm ? words.goneAlarm : words.gone} onPress={onGone} />
    </div>
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

const words = {
  alarm: 'Alarm.',
  goneAlarm: 'I have read this alarm',
  gone: 'I have read this',
};
