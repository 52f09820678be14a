/** A household as one device of it sees it: found or join one, its devices, its cameras, its safety number. */

import { Camera } from './camera.ts';
import { Emitter } from './emitter.ts';
import type {
  Admitted,
  ArriveBy,
  Change,
  DigitsVerdict,
  Kind,
  LastGlance,
  ListSigned,
  Met,
  SafetyNumber,
  Standing,
  Terms,
} from './generated/face.ts';
import type { HouseholdState } from './household-state.ts';
import { UNKNOWN, after, withDevices } from './household-state.ts';
import { Failure, WorkerLink } from './link.ts';
import type { WorkerPort } from './link.ts';
import type { Lock } from './lock.ts';
import { askPasskey, makePasskey } from './passkey.ts';
import { Publisher } from './publisher.ts';
import type { PublisherOptions } from './publisher.ts';

/** What this browser keeps, while it is locked. */
export interface Locked {
  /** Asks for the passkey, and opens. Call it from a press of the user's. */
  unlock(): Promise<void>;
  /** Erases what is kept: the way on when the passkey is lost. */
  erase(): Promise<void>;
}

/**
 * The household of this browser. One per page; keys, lists and groups rest in its worker.
 *
 * Every method rejects with a {@link Failure} whose message is one sentence for people.
 */
export class Household extends Emitter<HouseholdState> {
  readonly #link: WorkerLink;

  private constructor(link: WorkerLink) {
    super(UNKNOWN);
    this.#link = link;
    link.listen((event) => {
      this.become(after(this.state, event, Date.now()));
      // Who joined is on the list by now.
      if (event.event === 'invite' && event.admitted) this.refresh().catch(() => undefined);
    });
  }

  /**
   * Starts the worker and reads what this browser keeps. Where that is locked with a passkey, `whenLocked` is to unlock
   * or erase it; without one, opening rejects with the code `locked`.
   */
  static async open(port: WorkerPort, whenLocked?: (locked: Locked) => Promise<void>): Promise<Household> {
    const household = new Household(new WorkerLink(port));
    try {
      const { lock, locked } = await household.#link.call('lockState', {});
      if (lock && locked && whenLocked) await whenLocked(household.#locked(lock));
      household.#stands(await household.#link.call('open', {}));
    } catch (error) {
      household.#link.close();
      throw error;
    }
    if (household.state.standing?.is === 'member') await household.#refreshIfItCan();
    return household;
  }

  /** Draws the keys of a new household and returns its twelve words. Nobody is told yet. */
  async prepare(server: string, deviceName: string): Promise<readonly string[]> {
    return (await this.#link.call('prepareHousehold', { server, deviceName })).words;
  }

  /** Founds the prepared household with this device as its first admin. */
  async found(inviteCode?: string): Promise<void> {
    await this.#arrived(await this.#link.call('found', { inviteCode: inviteCode ?? null }));
  }

  /** Joins by an invite code or link. Resolves when the whole chain of lists was verified. */
  async join(code: string): Promise<void> {
    await this.#arrived(await this.#link.call('join', { code }));
  }

  /** Shows this device to an admin: returns what to show. `state.arrival` tells the rest. */
  async arrive(server: string, kind: Kind, by: ArriveBy): Promise<string> {
    this.become({ ...this.state, arrival: undefined });
    return (await this.#link.call('arrive', { server, kind, by })).shown;
  }

  /** Says whether the admin took the digits for right. A no ends the arrival. */
  async digitsFit(fit: boolean): Promise<void> {
    await this.#link.call('digitsFit', { fit });
  }

  /** Becomes an admin of the household of these words. */
  async recover(server: string, words: string, deviceName: string, keepAdmins: boolean): Promise<void> {
    await this.#arrived(await this.#link.call('recover', { server, words, deviceName, keepAdmins }));
  }

  /** Gives up whatever waits: an arrival, an invite, a letting in. Nothing has happened then. */
  async cancel(): Promise<void> {
    await this.#link.call('cancel', {});
    this.become({ ...this.state, arrival: undefined });
  }

  /** Makes an invite code. `state.invite` tells what came of it. */
  async invite(terms: Terms): Promise<string> {
    this.become({ ...this.state, invite: undefined });
    return (await this.#link.call('invite', terms)).code;
  }

  /** Meets the new device that shows this code or number. */
  letIn(shown: string, terms: Terms): Promise<Met> {
    return this.#link.call('letIn', { shown, terms });
  }

  /** Types the digits that the new device shows. */
  typeDigits(digits: string): Promise<DigitsVerdict> {
    return this.#link.call('typeDigits', { digits });
  }

  /** Invites the device that was met and waits for its yes. Nothing is signed yet. */
  confirm(): Promise<LastGlance> {
    return this.#link.call('confirm', {});
  }

  /** Signs the list that has the device that said yes. */
  async admit(): Promise<Admitted> {
    const admitted = await this.#link.call('admit', {});
    await this.refresh();
    return admitted;
  }

  /** Removes a device. `state.removals` tells when each camera has changed its keys. */
  remove(device: string): Promise<ListSigned> {
    const name = this.state.devices.find((one) => one.id === device)?.name ?? '';
    const others = this.state.removals.filter((removal) => removal.device !== device);
    this.become({ ...this.state, removals: [{ device, name, cameras: [] }, ...others] });
    return this.#changed(this.#link.call('remove', { device })).catch((error: unknown) => {
      this.become({ ...this.state, removals: others });
      throw error;
    });
  }

  /** Gives a device another name. */
  rename(device: string, name: string): Promise<ListSigned> {
    return this.#changed(this.#link.call('rename', { device, name }));
  }

  /** Changes what a device may do, or until when. */
  change(change: Change): Promise<ListSigned> {
    return this.#changed(this.#link.call('change', change));
  }

  /** Has a camera found its next group, when the present one is stuck. */
  renewCamera(device: string): Promise<ListSigned> {
    return this.#changed(this.#link.call('renewCamera', { device }));
  }

  /** The sixty digits that all devices of the household show. */
  safetyNumber(): Promise<SafetyNumber> {
    return this.#link.call('safetyNumber', {});
  }

  /** Whether what this browser keeps is locked with a passkey whenever no page is open. */
  async hasLock(): Promise<boolean> {
    return (await this.#link.call('lockState', {})).lock !== undefined;
  }

  /** Makes a passkey and locks with it what this browser keeps. Call it from a press of the user's. */
  async lock(): Promise<void> {
    const { standing } = this.state;
    const { lock, answer } = await makePasskey(standing?.is === 'member' ? standing.name : 'Latchkey');
    await this.#link.call('lock', { lock, answer }, [answer]);
  }

  /** Takes the lock off. The passkey itself stays where it is, and opens nothing any more. */
  async takeLockOff(): Promise<void> {
    await this.#link.call('takeLockOff', {});
  }

  /** Erases everything this browser keeps. The device stays on the list until an admin removes it. */
  async forget(): Promise<void> {
    await this.#link.call('forget', {});
    this.become({ ...UNKNOWN, standing: { is: 'nobody' } });
  }

  /** Reads devices and cameras anew. */
  async refresh(): Promise<void> {
    const { listVersion, devices } = await this.#link.call('devices', {});
    this.become(withDevices(this.state, listVersion, devices));
    await this.lookForCameras();
  }

  /** Asks which cameras there are, and which of them are connected. */
  async lookForCameras(): Promise<void> {
    const { cameras } = await this.#link.call('cameras', {});
    this.become({ ...this.state, cameras });
  }

  /** A camera of the household, to be watched. */
  camera(id: string): Camera {
    return new Camera(this.#link, id, this.nameOf(id));
  }

  /** What the household calls a device or camera; empty while that is not known. */
  nameOf(id: string): string {
    const { devices, cameras = [] } = this.state;
    return [...devices, ...cameras].find((one) => one.id === id)?.name ?? '';
  }

  /** Makes this device send, when it joined as a camera. */
  publish(options: PublisherOptions): Promise<Publisher> {
    return Publisher.start(this.#link, options);
  }

  /** Takes an alarm or notice off the page. */
  dismiss(kind: 'alarms' | 'notices', id: number): void {
    this.become({ ...this.state, [kind]: this.state[kind].filter((one) => one.id !== id) });
  }

  #locked(lock: Lock): Locked {
    return {
      unlock: async () => {
        const answer = await askPasskey(lock);
        await this.#link.call('unlock', { answer }, [answer]);
      },
      erase: async () => void (await this.#link.call('eraseLocked', {})),
    };
  }

  #stands(standing: Standing): void {
    this.become({ ...this.state, standing });
  }

  async #arrived(standing: Standing): Promise<void> {
    this.#stands(standing);
    await this.#refreshIfItCan();
  }

  /** The household is there whether or not its server answers now. */
  async #refreshIfItCan(): Promise<void> {
    await this.refresh().catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
    });
  }

  async #changed(signing: Promise<ListSigned>): Promise<ListSigned> {
    const signed = await signing;
    await this.refresh();
    return signed;
  }
}
