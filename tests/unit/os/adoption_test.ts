import { fromFileUrl } from "@std/path";
import { cases } from "./adoption.ts";

const program = fromFileUrl(import.meta.resolve("./adoption.ts"));
const config = fromFileUrl(import.meta.resolve("../../../deno.json"));

cases.forEach(([title], number) =>
  Deno.test(title, async () => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--unstable-net", "--config", config, program, `${number}`],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  })
);
