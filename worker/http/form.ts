/**
 * Forms that the supervisor has taken apart, as `FormData` again.
 *
 * Invariant: names keep their brackets (`a[b][]`); files are read only when the form is asked for.
 */

import { readFile } from "node:fs/promises";
import type { Tree, Upload } from "./head.ts";

const UPLOADED = 0;
const NOT_CHOSEN = 4;

/** Fields with their whole names, in order. */
export function pairsOf(tree: Tree<string>): [name: string, value: string][] {
  return [...leavesOf(tree)];
}

/** A form of fields and files. Files that did not arrive are left out. */
export async function formOf(fields: Tree<string>, uploads: Tree<Upload> | null) {
  const form = new FormData();
  for (const [name, value] of leavesOf(fields)) form.append(name, value);
  for (const [name, upload] of leavesOf(uploads ?? {})) {
    if (upload.error !== UPLOADED && upload.error !== NOT_CHOSEN) continue;
    const content = upload.error === UPLOADED ? [await readFile(upload.tmpName) as BlobPart] : [];
    form.append(name, new File(content, upload.name, { type: upload.mime }));
  }
  return form;
}

function* leavesOf<Leaf extends string | Upload>(
  tree: Tree<Leaf>,
  prefix?: string,
): Generator<[name: string, leaf: Leaf]> {
  for (const [key, value] of Object.entries(tree)) {
    const name = prefix === undefined ? key : `${prefix}[${key}]`;
    if (Array.isArray(value)) { for (const leaf of value) yield [`${name}[]`, leaf]; }
    else if (isBranch(value)) yield* leavesOf(value, name);
    else yield [name, value];
  }
}

/** An upload has a `tmpName` that is a text; a branch has at most one that is an upload. */
function isBranch<Leaf extends string | Upload>(value: Leaf | Tree<Leaf>): value is Tree<Leaf> {
  return typeof value !== "string" && typeof value.tmpName !== "string";
}
