/** The example's background worker: shows that it lives, and ends cleanly when told to. */

import process from "node:process";

/** Works until SIGTERM. */
export function work(version) {
  let done = 0;
  console.log(`worker ${version} starts`);
  const timer = setInterval(() => console.log(`worker ${version} did job ${++done}`), 5000);
  process.on("SIGTERM", () => {
    clearInterval(timer);
    console.log(`worker ${version} stops after ${done} jobs`);
  });
}
