/** This device as a camera: what it sees, who watches, and one button. */

import { useEffect, useState } from 'preact/hooks';

import { Button, Choose, Wrong } from '../parts/controls.tsx';
import { Notice } from '../parts/notices.tsx';
import { PageHead } from '../parts/page.tsx';
import { Stage } from '../parts/stage.tsx';
import { StorySteps, waitingFor } from '../parts/story.tsx';
import { Watchers } from '../parts/watchers.tsx';
import { quoted } from '../names.ts';
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
  return (
    <>
      <Stage
        phase={state.phase.is}
        stream={stream}
        label={words.own}
        badges={
          <>
            <span class="badge">
              {state.phase.is === 'sending' && <span class="dot" aria-hidden="true" />}
              {standing(state)}
            </span>
            {state.figures && state.phase.is === 'sending' && (
              <span class="badge plain figures">
                {words.rate(state.figures.fps.toFixed(0), (state.figures.bitsPerSecond / 1e6).toFixed(1))}
              </span>
            )}
          </>
        }
        controls={
          <Button kind="quiet" onPress={onStop}>
            {words.stop}
          </Button>
        }
      />
      {state.sealingStopped !== null && <Notice kind="warn">{sentence(state.sealingStopped)}</Notice>}
      {state.phase.is === 'ended' && <Notice kind="warn">{sentence(state.phase.reason)}</Notice>}
      <div class="beside">
        <section class="card stack" aria-labelledby="who">
          <h2 id="who">{words.who}</h2>
          <Watchers watchers={state.watchers} nobody={words.nobody} />
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
  // Browsers hide cameras from a page that came without HTTPS.
  if (!('mediaDevices' in navigator)) throw new Error(words.noCamera);
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: true });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    // A device without a microphone is a camera, too.
    if (name === 'NotFoundError') return withoutSound(video);
    throw new Error(name === 'NotAllowedError' ? words.notAllowed : words.notThere);
  }
}

async function withoutSound(video: MediaTrackConstraints): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    throw new Error(name === 'NotFoundError' ? words.noCamera : words.notThere);
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
    `${quoted(name)} is a camera of the household. It sends picture and sound, sealed on this device, while this page is open and in front.`,
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
  nobody: 'Nobody has said so yet.',
  epoch: (number: number, members: number) => `Keys of epoch ${number}; ${members} devices hold them.`,
  story: 'How the picture gets out',
  notAllowed:
    'This page may not use camera and microphone. Allow both in the browser’s settings for this page, then try again.',
  noCamera:
    'This browser shows no camera to the page. Use a device that has one, and open the page over HTTPS.',
  notThere: 'The camera cannot be used. Close other programs that use it, then try again.',
};
