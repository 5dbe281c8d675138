/**
 * All addresses where workers connect, one listener each for the whole daemon.
 *
 * Invariants: an address is bound while it has users, and no longer; nothing is bound before those that
 * were closed are free again, for the new one may be one of them; a Unix socket belongs to the owner
 * who came last of those who are still there, so that two generations with different users can
 * overlap.
 */

import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import type { Emit } from "../telemetry/events.ts";
import type { DoorOwner, RelayDoor, RelayDoors } from "./doors.ts";
import { type AddressWords, listenAt } from "./listen.ts";
import { RelayListener } from "./relay_listener.ts";

const WORDS: AddressWords = {
  what: "workers",
  socket: "relay socket",
  setting: "server.relay",
  forms: "pipes, to tcp://127.0.0.1:7000, or to unix:///run/app/relay.sock",
};

/** What doors live in. */
export interface DoorsHost {
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A user of an address, and whose socket it shall be. */
interface User {
  readonly owner: DoorOwner | undefined;
}

interface Address {
  readonly opening: Promise<RelayListener>;
  listener?: RelayListener;
  /** The latest last. */
  readonly users: Set<User>;
}

/** The addresses; none is bound yet. */
export function relayDoors(host: DoorsHost): RelayDoors {
  const addresses = new Map<string, Address>();
  /** Closed, but the system still holds the address for the accept that was under way. */
  const closing = new Set<Promise<void>>();

  const bind = async (dsn: string, { owner }: User): Promise<RelayListener> => {
    await Promise.all(closing);
    const { clock, emit } = host;
    return new RelayListener(await listenAt(dsn, owner, clock, WORDS), clock, emit);
  };
  const close = (listener: RelayListener): void => {
    listener.close();
    const ended = listener.ended.then(() => void closing.delete(ended));
    closing.add(ended);
  };
  const enter = (dsn: string, user: User): Address => {
    const opening = () => bind(dsn, user);
    const address = addresses.get(dsn) ?? { opening: opening(), users: new Set() };
    addresses.set(dsn, address);
    address.users.add(user);
    return address;
  };
  const leave = (dsn: string, address: Address, user: User): void => {
    const was = latest(address);
    if (!address.users.delete(user)) return;
    if (address.users.size === 0) {
      addresses.delete(dsn);
      if (address.listener !== undefined) close(address.listener);
    } else if (was === user) {
      giveBack(host, address);
    }
  };

  return {
    async open(dsn, owner): Promise<RelayDoor> {
      const user: User = { owner };
      const address = enter(dsn, user);
      try {
        const listener = address.listener ??= await address.opening;
        if (latest(address) === user) listener.give(owner);
        return {
          dsn: listener.dsn,
          expect: (worker) => listener.expect(worker),
          close: () => leave(dsn, address, user),
        };
      } catch (error) {
        leave(dsn, address, user);
        throw error;
      }
    },
  };
}

function latest(address: Address): User | undefined {
  return [...address.users].at(-1);
}

/** The socket is its earlier owner's again. Should that fail, new workers of theirs cannot connect. */
function giveBack({ emit }: DoorsHost, address: Address): void {
  try {
    address.listener?.give(latest(address)?.owner);
  } catch (error) {
    emit("internal_error", { where: "relay socket", error: messageOf(error) });
  }
}
