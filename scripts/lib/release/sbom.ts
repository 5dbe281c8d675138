/**
 * The bill of materials: what a binary is made of, as CycloneDX 1.6 JSON, out of deno.lock.
 *
 * Invariant: pure; the same lock file gives the same bytes, and a package is named with the checksum
 * that it was checked against.
 */

/** The parts of deno.lock that are read. */
export interface Lock {
  /** What is asked for, and the version that is used: `npm:zod@4.6.7` is `4.6.7`. */
  specifiers: Record<string, string>;
  /** By `name@version`. */
  npm?: Record<string, { integrity?: string; dependencies?: string[] }>;
  workspace?: { dependencies?: string[] };
}

/** What is described. */
export interface Subject {
  name: string;
  version: string;
  license: string;
  /** Of the runtime that is inside. */
  deno: string;
  /** ISO time. */
  made: string;
}

/** One entry of the document. */
interface Component {
  type: string;
  "bom-ref": string;
  name: string;
  group?: string;
  version: string;
  purl: string;
  licenses?: { license: { id: string } }[];
  hashes?: { alg: string; content: string }[];
}

/**
 * The document, with a line feed at its end.
 *
 * @throws Error when the lock file names a package that it does not hold
 */
export function sbom(lock: Lock, subject: Subject): string {
  const { name, version, license, deno, made } = subject;
  const own: Component = {
    type: "application",
    "bom-ref": `pkg:generic/${name}@${version}`,
    name,
    version,
    purl: `pkg:generic/${name}@${version}`,
    licenses: [{ license: { id: license } }],
  };
  const runtime: Component = {
    type: "platform",
    "bom-ref": `pkg:github/denoland/deno@v${deno}`,
    name: "deno",
    version: deno,
    purl: `pkg:github/denoland/deno@v${deno}`,
    licenses: [{ license: { id: "MIT" } }],
  };
  const packages = Object.entries(lock.npm ?? {});
  const asked = (lock.workspace?.dependencies ?? []).map((specifier) => keyOf(specifier, lock));
  const dependencies = [
    {
      ref: own["bom-ref"],
      dependsOn: [runtime["bom-ref"], ...asked.map((key) => purlOf(key))],
    },
    ...packages.map(([key, { dependencies = [] }]) => ({
      ref: purlOf(key),
      dependsOn: dependencies.map((dependency) => purlOf(lockKey(dependency, lock))),
    })),
  ];
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { timestamp: made, component: own },
    components: [runtime, ...packages.map(([key, facts]) => packageOf(key, facts.integrity))],
    dependencies,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function packageOf(key: string, integrity: string | undefined): Component {
  const { group, name, version } = partsOf(key);
  const component: Component = {
    type: "library",
    "bom-ref": purlOf(key),
    ...(group === undefined ? {} : { group }),
    name,
    version,
    purl: purlOf(key),
  };
  const [algorithm, sum] = integrity?.split("-") ?? [];
  if (algorithm === "sha512") component.hashes = [{ alg: "SHA-512", content: hexOf(sum) }];
  return component;
}

/** `npm:zod@4.6.7` or `npm:zod@^4` as the lock file has it: `zod@4.6.7`. */
function keyOf(specifier: string, lock: Lock): string {
  const version = lock.specifiers[specifier];
  const name = /^npm:(@?[^@]+)@/.exec(specifier)?.[1];
  if (version === undefined || name === undefined) {
    throw new Error(`deno.lock does not hold ${specifier}, which the program asks for`);
  }
  return lockKey(`${name}@${version}`, lock);
}

/** A dependency is written without its version when there is only one of that name. */
function lockKey(dependency: string, lock: Lock): string {
  const keys = Object.keys(lock.npm ?? {});
  const found = keys.find((key) => key === dependency) ??
    keys.find((key) => nameOf(key) === dependency);
  if (found === undefined) throw new Error(`deno.lock does not hold ${dependency}`);
  return found;
}

function nameOf(key: string): string {
  const { group, name } = partsOf(key);
  return group === undefined ? name : `${group}/${name}`;
}

/** A key may end in the versions of what it was resolved with, after an underscore. */
function partsOf(key: string): { group?: string; name: string; version: string } {
  const [, group, name, version] = /^(?:(@[^/]+)\/)?([^@]+)@([^_]+)/.exec(key)!;
  return { group, name, version };
}

/** The name of a package that tools agree on. */
function purlOf(key: string): string {
  const { group, name, version } = partsOf(key);
  const scope = group === undefined ? "" : `${encodeURIComponent(group)}/`;
  return `pkg:npm/${scope}${name}@${version}`;
}

function hexOf(base64: string): string {
  return Array.from(atob(base64), (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
