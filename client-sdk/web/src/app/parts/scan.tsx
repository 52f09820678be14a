/** Reads a QR code with this device's camera, where the browser can (BarcodeDetector). */

import { useEffect, useRef, useState } from 'preact/hooks';

import { Notice } from './notices.tsx';

/** Not in TypeScript's library: https://wicg.github.io/shape-detection-api/#barcode-detection-api */
interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;

/** Whether this browser reads QR codes by itself. */
export function canScan(): boolean {
  return 'BarcodeDetector' in globalThis && navigator.mediaDevices !== undefined;
}

/** Shows the camera and reads until something was found. */
export function Scan({ onFound }: { onFound: (text: string) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [wrong, setWrong] = useState(false);
  useEffect(() => {
    let stop = (): void => undefined;
    let over = false;
    const look = async (): Promise<void> => {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      stop = () => stream.getTracks().forEach((track) => track.stop());
      if (over || video.current === null) return stop();
      video.current.srcObject = stream;
      await video.current.play();
      const Detector = (globalThis as unknown as { BarcodeDetector: DetectorClass }).BarcodeDetector;
      const detector = new Detector({ formats: ['qr_code'] });
      while (!over && video.current !== null) {
        const [found] = await detector.detect(video.current);
        if (found !== undefined && !over) return onFound(found.rawValue);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    look().catch(() => setWrong(true));
    return () => {
      over = true;
      stop();
    };
  }, []);
  if (wrong) return <Notice kind="warn">{words.noCamera}</Notice>;
  return (
    <div class="stage">
      <video ref={video} muted playsInline aria-label={words.looking} />
    </div>
  );
}

const words = {
  looking: 'Camera of this device, looking for a QR code',
  noCamera: 'The camera of this device cannot be used. Allow it for this page, or paste the code instead.',
};
