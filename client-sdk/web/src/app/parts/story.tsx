/** The connection story: each step with its time, and the reason where it is stuck. */

import { Icon } from './icons.tsx';
import type { StepState, Step, Story } from '../../sdk/index.ts';
import { sentence } from '../watched.ts';

/** Shows all steps. */
export function StorySteps({ story, of = 'watch' }: { story: Story; of?: 'watch' | 'camera' }) {
  const open = story.findIndex((state) => state.doneAfter === undefined);
  return (
    <ol class="steps">
      {story.map((state, index) => (
        <One key={state.step} state={state} open={index === open} names={words.steps[of]} />
      ))}
    </ol>
  );
}

function One(props: { state: StepState; open: boolean; names: Record<Step, string> }) {
  const { state, open, names } = props;
  const isDone = state.doneAfter !== undefined;
  const kind = isDone ? 'done' : open ? 'open' : 'waiting';
  return (
    <li class={kind} data-step={state.step} data-state={kind}>
      <Icon name={isDone ? 'check' : open ? 'clock' : 'minus'} size={18} />
      <span>
        {names[state.step]} <span class="for-readers">{words.states[kind]}</span>
      </span>
      <span class="soft figures">{isDone ? time(state.doneAfter ?? 0) : ''}</span>
      {open && state.reason && <span class="why">{advised(state.reason, words.advice[state.step])}</span>}
    </li>
  );
}

/** Returns a reason as a sentence, and advice after it; a reason with a colon says by itself what to do. */
function advised(reason: string, advice: string): string {
  return reason.includes(': ') ? sentence(reason) : `${sentence(reason)} ${advice}`;
}

/** Returns what a picture waits for, in one sentence. */
export function waitingFor(story: Story): string {
  const open = story.find((state) => state.doneAfter === undefined);
  return open === undefined ? '' : words.waiting[open.step];
}

/** Returns a length of time for people. */
function time(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

const words = {
  states: { done: '(done)', open: '(not done yet)', waiting: '(later)' },
  steps: {
    watch: {
      signalling: 'Signed in at the server',
      relay: 'Let in by the relay',
      ice: 'Path to the relay found',
      dtls: 'Line to the relay secured',
      firstPacket: 'First sealed frame came',
      keyKnown: 'Camera’s key known',
      firstFrame: 'First frame opened',
    },
    camera: {
      signalling: 'Signed in at the server',
      relay: 'Let in by the relay',
      ice: 'Path to the relay found',
      dtls: 'Line to the relay secured',
      firstPacket: 'First frame on its way',
      keyKnown: 'Keys of the household made',
      firstFrame: 'First frame sealed',
    },
  } satisfies Record<'watch' | 'camera', Record<Step, string>>,
  waiting: {
    signalling: 'Signing in at the server',
    relay: 'Asking the relay for the camera',
    ice: 'Looking for a path to the relay',
    dtls: 'Securing the line to the relay',
    firstPacket: 'Waiting for the first frame',
    keyKnown: 'Waiting for the camera’s key',
    firstFrame: 'Opening the first frame',
  } satisfies Record<Step, string>,
  advice: {
    signalling: 'Check that the server runs and that this device is still on the list.',
    relay: 'Check that the camera runs.',
    ice: 'The network here may block UDP to the relay.',
    dtls: 'Something on the way may be changing UDP packets.',
    firstPacket: 'Check that the camera is sending.',
    keyKnown: 'The camera lets new devices in by itself once it is connected.',
    firstFrame: 'Check the clocks of both devices, and start the camera anew.',
  } satisfies Record<Step, string>,
};
