/** This device as a camera: what it sees, who watches, and one button. */

import { useEffect, useRef, useState } from 'preact/hooks';

import { Button, Choose, Wrong } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { StorySteps, waitingFor } from '../parts/story.tsx';
import type { Household, Member, Publisher, PublisherState } from '../../sdk/index.ts';
import { sentence, useAction, useWatched } from '../watched.ts';

type Facing = 'environment' | 'user';

/** Sends what this device sees and hears, as long as the page is open. */
export function OwnCameraPage({ household, member }: { household: Household; member: Member }) {
  const [facing, setFacing] = useState<Facing>('environment');
  const [stream, setStream] = useState<MediaStream>();
  const [publisher, setPublisher] = useState<Publisher>();
  const action = useAction();
  const start = (): void =>
    action.run(async () => {
      const seen = await look(facing);
      setStream(seen);
      try {
        setPublisher(await household.publish({ stream: seen }));
      } catch (error) {
        release(seen);
        setStream(undefined);
        throw error;
      }
    });
  const stop = (): void => {
    publisher?.stop();
    if (stream) release(stream);
    setPublisher(undefined);
    setStream(undefined);
  };
  useEffect(() => () => publisher?.stop(), [publisher]);
  useEffect(() => () => stream && release(stream), [stream]);
  useAwake(publisher !== undefined);

  return (
    <>
      <PageHead title={words.title} />
      {publisher && stream ? (
        <Sending publisher={publisher} stream={stream} onStop={stop} />
      ) : (
        <div class="stack">
          <p>{words.what(member.name)}</p>
          <Choose
            label={words.which}
            value={facing}
            options={[
              ['environment', words.back],
              ['user', words.front],
            ]}
            onChoose={setFacing}
          />
          <Wrong action={action} />
          <div class="line">
            <Button icon="camera" busy={action.busy} onPress={start}>
              {words.start}
            </Button>
          </div>
        </div>
      )}
    </>
  );
}

function Sending(props: { publisher: Publisher; stream: MediaStream; onStop: () => void }) {
  const { publisher, stream, onStop } = props;
  const state = useWatched(publisher);
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.srcObject = stream;
  }, [stream]);
  return (
    <>
      <div class="stage page-wide" data-phase={state.phase.is}>
        <video ref={video} autoPlay playsInline muted aria-label={words.own} />
        <div class="badges" role="status">
          <span class="badge">
            {state.phase.is === 'sending' && <span class="dot" aria-hidden="true" />}
            {standing(state)}
          </span>
          {state.figures && state.phase.is === 'sending' && (
            <span class="badge figures">
              {words.rate(state.figures.fps.toFixed(0), (state.figures.bitsPerSecond / 1e6).toFixed(1))}
            </span>
          )}
        </div>
        <div class="controls">
          <Button onPress={onStop}>{words.stop}</Button>
        </div>
      </div>
      {state.sealingStopped !== null && <Notice kind="warn">{sentence(state.sealingStopped)}</Notice>}
      {state.phase.is === 'ended' && <Notice kind="warn">{sentence(state.phase.reason)}</Notice>}
      <div class="beside">
        <section class="card stack" aria-labelledby="who">
          <h2 id="who">{words.who}</h2>
          {state.watchers.length === 0 ? (
            <p class="soft">{words.nobody}</p>
          ) : (
            <ul class="stack tight">
              {state.watchers.map((watcher) => (
                <li key={watcher.device} class="line">
                  <Icon name="eye" />
                  {watcher.name}
                </li>
              ))}
            </ul>
          )}
          {state.epoch && <p class="soft small">{words.epoch(state.epoch.number, state.epoch.members)}</p>}
        </section>
        <section class="card stack tight" aria-labelledby="story">
          <h2 id="story">{words.story}</h2>
          <StorySteps story={state.story} of="camera" />
        </section>
      </div>
    </>
  );
}

function standing(state: PublisherState): string {
  switch (state.phase.is) {
    case 'sending':
      return words.sending;
    case 'ended':
      return words.ended;
    default:
      return `${waitingFor(state.story)} …`;
  }
}

async function look(facing: Facing): Promise<MediaStream> {
  const video = {
    facingMode: facing,
    width: { ideal: 1280 },
    height: { ideal: 720 },
    frameRate: { ideal: 30 },
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: true });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    // A device without a microphone is a camera, too.
    if (name === 'NotFoundError') return navigator.mediaDevices.getUserMedia({ video });
    throw new Error(name === 'NotAllowedError' ? words.notAllowed : words.notThere);
  }
}

function release(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** Keeps the screen on: a device that sleeps sends nothing. */
function useAwake(on: boolean): void {
  useEffect(() => {
    if (!on || !('wakeLock' in navigator)) return undefined;
    let lock: WakeLockSentinel | undefined;
    const take = (): void => {
      if (document.visibilityState !== 'visible') return;
      navigator.wakeLock.request('screen').then(
        (taken) => (lock = taken),
        () => undefined,
      );
    };
    take();
    document.addEventListener('visibilitychange', take);
    return () => {
      document.removeEventListener('visibilitychange', take);
      void lock?.release();
    };
  }, [on]);
}

const words = {
  title: 'This device as a camera',
  what: (name: string) =>
    `“${name}” is a camera of the household. It sends picture and sound, sealed on this device, while this page is open and in front.`,
  which: 'Which camera',
  back: 'The one on the back',
  front: 'The one on the front',
  start: 'Start sending',
  stop: 'Stop',
  own: 'What this camera sees',
  sending: 'Sending',
  ended: 'Stopped',
  rate: (fps: string, mbits: string) => `${fps} per second, ${mbits} Mbit/s`,
  who: 'Watching now',
  nobody: 'Nobody has said so.',
  epoch: (number: number, members: number) => `Keys of epoch ${number}; ${members} devices hold them.`,
  story: 'How the picture gets out',
  notAllowed:
    'This page may not use camera and microphone. Allow it in the browser’s settings for this page.',
  notThere: 'The camera cannot be used. Close other programs that use it, then try again.',
};
