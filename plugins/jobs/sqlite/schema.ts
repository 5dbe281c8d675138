/**
 * The file: its tables, and whether a file is one of ours.
 *
 * | a job is            | its row is in        | in the order of                            |
 * | ------------------- | -------------------- | ------------------------------------------ |
 * | waiting or reserved | `waiting`            | pipeline, priority, place: as it is served |
 * | delayed             | `delayed`            | pipeline, due, place: as it falls due      |
 * | dead                | `dead`               | pipeline, place: the oldest first          |
 *
 * What never changes of a job (name, payload) lies in `bodies`, so that a job that moves moves a
 * small row. Who has reserved it is not written: only one daemon has the file, and with it ends what
 * it had reserved. `pipelines` counts, so that nobody has to.
 *
 * Invariants: each body has exactly one row in one of the three; the counts are those of the same
 * commit; a file that is not ours is never written to.
 */

import { DatabaseSync } from "node:sqlite";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import { APPLICATION_ID, notOurs, unusable, VERSION } from "./refusals.ts";

/** How long another program may hold a lock of the file, ms: somebody looks into it, or copies it. */
const BUSY_LIMIT = 5000;

const TABLES = `
CREATE TABLE pipelines (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  waiting INTEGER NOT NULL DEFAULT 0,
  delayed INTEGER NOT NULL DEFAULT 0,
  dead INTEGER NOT NULL DEFAULT 0,
  place INTEGER NOT NULL DEFAULT 0,
  seen INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE bodies (
  key INTEGER PRIMARY KEY,
  head TEXT NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE TABLE waiting (
  pipeline INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  place INTEGER NOT NULL,
  body INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  headers TEXT NOT NULL,
  error TEXT,
  PRIMARY KEY (pipeline, priority, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE delayed (
  pipeline INTEGER NOT NULL,
  due INTEGER NOT NULL,
  place INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  body INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  headers TEXT NOT NULL,
  error TEXT,
  PRIMARY KEY (pipeline, due, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE dead (
  pipeline INTEGER NOT NULL,
  place INTEGER NOT NULL,
  id TEXT NOT NULL,
  priority INTEGER NOT NULL,
  body INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  headers TEXT NOT NULL,
  error TEXT NOT NULL,
  died_at INTEGER NOT NULL,
  PRIMARY KEY (pipeline, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_by_id ON dead (pipeline, id, place);
CREATE TABLE keys (
  pipeline INTEGER NOT NULL,
  key TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (pipeline, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_time ON keys (until);
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${VERSION};
`;

/**
 * Opens a file of ours, or makes one of an empty file.
 * @throws Failure naming the file
 */
export function openDatabase(file: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file);
    db.exec(`PRAGMA busy_timeout = ${BUSY_LIMIT}`);
    const isNew = checkOurs(db, file);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = FULL");
    db.exec("PRAGMA foreign_keys = OFF");
    // 16 MB of pages in memory; the journal is copied into the file after 8 MB, and given back beyond 64.
    db.exec("PRAGMA cache_size = -16384");
    db.exec("PRAGMA wal_autocheckpoint = 2000");
    db.exec("PRAGMA journal_size_limit = 67108864");
    if (isNew) {
      db.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
      // Who looks at the header of the file alone sees at once whose it is.
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    mayWrite(db);
    return db;
  } catch (error) {
    db?.close();
    throw error instanceof Failure ? error : unusable(file, messageOf(error));
  }
}

/** Numbers of the header. */
function pragma(db: DatabaseSync, name: string): number {
  return Object.values(db.prepare(`PRAGMA ${name}`).get()!)[0] as number;
}

/** @returns whether it is new. @throws Failure when it is another program's, or of a later version */
function checkOurs(db: DatabaseSync, file: string): boolean {
  const [id, version] = [pragma(db, "application_id"), pragma(db, "user_version")];
  if (id === 0 && db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined) {
    return true;
  }
  const failure = notOurs(file, id, version);
  if (failure !== undefined) throw failure;
  return false;
}

/** A transaction that writes and is taken back: a read-only file says so now, not at the first push. */
function mayWrite(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE; UPDATE pipelines SET seen = seen; ROLLBACK;");
}
