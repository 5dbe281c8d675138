/**
 * Form names with brackets as a tree, and the tree as JSON.
 *
 * Invariant: fields keep the order in which their keys came first, numeric names included, and no
 * name is special (`__proto__` is a key like any other): branches are Maps, never objects. Depth and
 * number of branches are bounded whatever is sent.
 *
 * | there    | scalar comes               | `[]` comes                | branch comes              |
 * | -------- | -------------------------- | ------------------------- | ------------------------- |
 * | nothing  | it stands                  | a list begins             | a branch begins           |
 * | scalar   | the last one stands        | list if it was empty      | branch if it was empty    |
 * | list     | ignored if empty           | appended                  | refused                   |
 * | branch   | ignored if empty           | refused                   | goes on inside            |
 *
 * What is not said to be ignored is refused: the request is a 400.
 */

import { BodyBroken } from "../../../lib/http/mod.ts";

/** A field with a longer name is dropped. */
const MOST_SEGMENTS = 127;

/** Inner nodes of one tree: a short body must not become hundreds of megabytes of branches. */
const MOST_BRANCHES = 50_000;

/** Characters of a name that an error quotes. */
const QUOTED = 80;

type Node<V> = Scalar<V> | List<V> | Branch<V>;
type Scalar<V> = { readonly scalar: V };
type List<V> = { readonly list: V[] };
type Branch<V> = { readonly branch: Map<string, Node<V>> };

/** The fields (or files) of one request. */
export class Tree<V> {
  readonly #root = new Map<string, Node<V>>();
  /** Whether a value is nothing: it yields to what else has its name. */
  readonly #empty: (value: V) => boolean;
  #branches = 0;

  constructor(empty: (value: V) => boolean) {
    this.#empty = empty;
  }

  /** True: no field was kept. */
  get empty(): boolean {
    return this.#root.size === 0;
  }

  /**
   * Puts a value under a name.
   * @throws BodyBroken when another kind of value has that name already, or the tree grows too large
   */
  add(name: string, value: V): void {
    const path = segments(name);
    if (path === undefined) return;
    const list = path.length > 1 && path.at(-1) === "";
    if (list) path.pop();
    const last = path.pop()!;
    const branch = this.#descend(path, name);
    if (list) this.#append(branch, last, value, name);
    else this.#set(branch, last, value, name);
  }

  /** The tree as JSON text, objects in the order of their keys. */
  json(leaf: (value: V) => string): string {
    return objectOf(this.#root, leaf);
  }

  /** The map the path leads to, made where it is not there. */
  #descend(path: string[], name: string): Map<string, Node<V>> {
    let at = this.#root;
    for (const segment of path) {
      const found = at.get(segment);
      if (found !== undefined && "branch" in found) {
        at = found.branch;
        continue;
      }
      if (found !== undefined && !this.#yields(found)) throw conflict(name);
      if (++this.#branches > MOST_BRANCHES) {
        throw new BodyBroken(`the form has more than ${MOST_BRANCHES} branches`, 413);
      }
      const branch = new Map<string, Node<V>>();
      at.set(segment, { branch });
      at = branch;
    }
    return at;
  }

  #set(branch: Map<string, Node<V>>, key: string, value: V, name: string): void {
    const found = branch.get(key);
    if (found === undefined || "scalar" in found) branch.set(key, { scalar: value });
    else if (!this.#empty(value)) throw conflict(name);
  }

  #append(branch: Map<string, Node<V>>, key: string, value: V, name: string): void {
    const found = branch.get(key);
    if (found === undefined || this.#yields(found)) branch.set(key, { list: [value] });
    else if ("list" in found) found.list.push(value);
    else throw conflict(name);
  }

  #yields(node: Node<V>): boolean {
    return "scalar" in node && this.#empty(node.scalar);
  }
}

/**
 * The segments of a name: `a[b][c]` and `a[b]c` are a, b, c; `a[]` is a and an empty one. Spaces do
 * not count. At least one; undefined: too many.
 */
export function segments(name: string): string[] | undefined {
  const found = [""];
  /** After `[`, after `]`, or inside a segment. */
  let place: "opened" | "closed" | "inside" = "inside";
  for (const char of name) {
    if (char === " ") continue;
    if (char === "[") {
      place = "opened";
      continue;
    }
    if (char === "]") {
      if (place === "opened") found.push("");
      place = "closed";
    } else if (place === "inside") {
      found[found.length - 1] += char;
    } else {
      found.push(char);
      place = "inside";
    }
    if (found.length > MOST_SEGMENTS) return undefined;
  }
  return found;
}

/** Text as JSON. Half characters, which no JSON reader takes, become U+FFFD. */
export function jsonText(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

function objectOf<V>(branch: Map<string, Node<V>>, leaf: (value: V) => string): string {
  const members: string[] = [];
  for (const [key, node] of branch) members.push(`${jsonText(key)}:${jsonOf(node, leaf)}`);
  return `{${members.join(",")}}`;
}

function jsonOf<V>(node: Node<V>, leaf: (value: V) => string): string {
  if ("branch" in node) return objectOf(node.branch, leaf);
  if ("list" in node) return `[${node.list.map(leaf).join(",")}]`;
  return leaf(node.scalar);
}

function conflict(name: string): BodyBroken {
  const shown = name.length > QUOTED ? `${name.slice(0, QUOTED)}…` : name;
  return new BodyBroken(`the field ${jsonText(shown)} has a value and parts of its own at once`);
}
