/**
 * Users and groups by name or number, from /etc/passwd and /etc/group.
 *
 * Invariant: a number is always accepted, listed or not (containers have no names); a name never
 * turns into a guess.
 */

import { Failure } from "../core/failure.ts";
import { readTextIfAny } from "./files.ts";
import type { Identity } from "./system.ts";

const PASSWD = "/etc/passwd";
const GROUP = "/etc/group";

/** The largest id the kernel knows; 2^32-1 means "no change" to it. */
const MAX_ID = 2 ** 32 - 2;

/** Home of a number that is not listed. */
const NO_HOME = "/";

/** Where names are looked up; parameters so that tests bring their own. */
export interface UserFiles {
  passwd: string;
  group: string;
}

const system: UserFiles = { passwd: PASSWD, group: GROUP };

/**
 * `name`, `uid`, `name:group` or `uid:gid`. A listed user gets its own primary group; a number that is
 * not listed gets the group of the same number.
 *
 * @throws Failure when a name is unknown or a number out of range
 */
export function findUser(text: string, files: UserFiles = system): Identity {
  const [name, group, ...rest] = text.split(":");
  if (rest.length > 0 || name === "" || group === "") {
    throw new Failure(`"${text}" is not a user`, {
      fix: "write a name, a number, or user:group",
    });
  }
  const found = lookUpUser(name, files);
  return group === undefined ? found : { ...found, gid: findGroup(group, files) };
}

function lookUpUser(name: string, files: UserFiles): Identity {
  const uid = idOf(name);
  for (const [user, , id, gid, , home] of records(files.passwd)) {
    if (user !== name && (uid === undefined || Number(id) !== uid)) continue;
    return { user, uid: Number(id), gid: Number(gid), home: home || NO_HOME };
  }
  if (uid === undefined) {
    throw new Failure(`there is no user "${name}" in ${files.passwd}`, {
      fix: `create it (useradd --system ${name}), correct the name, or use a number`,
    });
  }
  return { user: name, uid, gid: uid, home: NO_HOME };
}

/** Group id for a name or number. @throws Failure when the name is unknown. */
export function findGroup(name: string, files: UserFiles = system): number {
  const gid = idOf(name);
  for (const [group, , id] of records(files.group)) {
    if (group === name) return Number(id);
  }
  if (gid !== undefined) return gid;
  throw new Failure(`there is no group "${name}" in ${files.group}`, {
    fix: `create it (groupadd --system ${name}), correct the name, or use a number`,
  });
}

/** True when the uid has a name, so that its supplementary groups can be looked up. */
export function isListed(uid: number, files: UserFiles = system): boolean {
  return [...records(files.passwd)].some((record) => Number(record[2]) === uid);
}

function idOf(name: string): number | undefined {
  if (!/^\d+$/.test(name)) return undefined;
  const id = Number(name);
  if (id <= MAX_ID) return id;
  throw new Failure(`${name} is not a user or group number`, { fix: `the largest is ${MAX_ID}` });
}

function* records(path: string): Generator<string[]> {
  for (const line of (readTextIfAny(path) ?? "").split("\n")) {
    if (line !== "" && !line.startsWith("#")) yield line.split(":");
  }
}
