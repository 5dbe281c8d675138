/**
 * What was read, before it means anything: a tree of scalars, lists and tables in which every node
 * knows the text it came from, so that files, includes and command-line overrides can be laid over
 * each other and a complaint still points at the right line.
 *
 * Invariant: a scalar keeps its text as written. A field that wants text gets `0660`, `1.10` or `yes`
 * as a person typed it, whatever type YAML would give it.
 */

/** A text that configuration was read from. */
export interface Source {
  kind: "file" | "override";
  /** As shown to people: the path as given, or `key.path=value` of an `-o`. */
  name: string;
  /** Directory that relative paths written in it count from. */
  dir: string;
  text: string;
  /** Position among everything that was read: problems are shown in this order. */
  order: number;
}

/** A place in the tree: keys, and list positions as decimal text. */
export type Path = readonly string[];

/** The types a scalar can have. */
export type Value = null | boolean | number | string;

export interface Scalar {
  kind: "scalar";
  value: Value;
  /** As written (or as expanded), without quotes. */
  text: string;
  source: Source;
  /** The text before expansion, when the whole value was one `${…}`. */
  expandedFrom?: string;
}

export interface List {
  kind: "list";
  items: Node[];
  source: Source;
}

export interface Table {
  kind: "table";
  /** In the order of the file. */
  entries: Map<string, Node>;
  source: Source;
}

export type Node = Scalar | List | Table;

/** A child of `node`, or undefined. */
export function child(node: Node | undefined, key: string): Node | undefined {
  if (node?.kind === "table") return node.entries.get(key);
  if (node?.kind === "list") return /^\d+$/.test(key) ? node.items[Number(key)] : undefined;
  return undefined;
}

/** The node at `path`, or undefined. */
export function find(root: Node | undefined, path: Path): Node | undefined {
  return path.reduce<Node | undefined>(child, root);
}

/** The node at `path`, or its nearest ancestor that exists. */
export function nearestNode(root: Node, path: Path): { node: Node; path: Path } {
  let node = root;
  for (let depth = 0; depth < path.length; depth++) {
    const next = child(node, path[depth]);
    if (next === undefined) return { node, path: path.slice(0, depth) };
    node = next;
  }
  return { node, path };
}

/** Every scalar below `node` with its place, in order. */
export function* scalars(node: Node, path: Path = []): Generator<[Path, Scalar]> {
  if (node.kind === "scalar") yield [path, node];
  else for (const [key, next] of children(node)) yield* scalars(next, [...path, key]);
}

/** The children of a list or table with their keys. */
export function children(node: Node): Iterable<[string, Node]> {
  if (node.kind === "table") return node.entries;
  if (node.kind === "list") return node.items.map((item, i): [string, Node] => [String(i), item]);
  return [];
}

/** Lays `over` on `base`: tables are merged key by key, everything else is replaced. */
export function merge(base: Node, over: Node): Node {
  if (base.kind !== "table" || over.kind !== "table") return over;
  const entries = new Map(base.entries);
  for (const [key, value] of over.entries) {
    const old = entries.get(key);
    entries.set(key, old === undefined ? value : merge(old, value));
  }
  return { ...base, entries };
}

/**
 * The tree without what is at `path`. An item takes its whole list with it, so that no position
 * ever shifts; undefined: nothing is left.
 */
export function without(root: Node, path: Path): Node | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return undefined;
  const next = child(root, key);
  if (next === undefined) return root;
  const left = without(next, rest);
  if (root.kind === "table") {
    const entries = new Map(root.entries);
    if (left === undefined) entries.delete(key);
    else entries.set(key, left);
    return { ...root, entries };
  }
  if (root.kind !== "list" || left === undefined) return undefined;
  return { ...root, items: root.items.map((item, i) => String(i) === key ? left : item) };
}

/** The tree with `value` at `path`, whose owner must be a table. */
export function withEntry(root: Node, path: Path, value: Node): Node {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (root.kind === "list") {
    const items = root.items.map((item, i) =>
      String(i) === key ? withEntry(item, rest, value) : item
    );
    return { ...root, items };
  }
  if (root.kind !== "table") return root;
  const next = root.entries.get(key);
  const replaced = next === undefined ? value : withEntry(next, rest, value);
  return { ...root, entries: new Map(root.entries).set(key, replaced) };
}

/** Whether a value at `path` is that of an environment variable: nothing is not the same as none. */
export function isEnvValue(path: Path): boolean {
  const env = path.indexOf("env", path[0] === "server" ? 1 : 2);
  const owner = path.slice(0, env).join(".");
  if (env < 0 || !/^(?:(?:processes|service)\.[^.]+|server(?:\.on_init)?)$/.test(owner)) {
    return false;
  }
  const rest = path.slice(env + 1);
  return rest.length === 1 || (rest.length === 2 && /^\d+$/.test(rest[0]));
}

/** A path as people write it: `processes.web.command`, `trusted_proxies[0]`. */
export function dotted(path: Path): string {
  return path.reduce(
    (text, key) => /^\d+$/.test(key) ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`,
    "",
  );
}

/** What a node is, for messages: `a list`, `"abc"`, `30`, `nothing`. */
export function describe(node: Node | undefined): string {
  if (node === undefined) return "nothing";
  if (node.kind === "list") return "a list";
  if (node.kind === "table") return "a map";
  if (node.value === null) return "nothing";
  const shown = quote(node.text, typeof node.value === "string");
  return node.expandedFrom === undefined ? shown : `${shown} (from ${node.expandedFrom})`;
}

/** Longest value repeated in a message. */
const QUOTED_LENGTH = 60;

/** A value in a message: quoted when text, never long, never with control characters. */
export function quote(text: string, quoted = true): string {
  const short = text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text;
  return quoted ? JSON.stringify(short) : short;
}
