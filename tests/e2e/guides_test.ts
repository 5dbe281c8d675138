/**
 * Each guide, done as it says from an empty directory; with the real PM2, supervisord, screen, nginx.
 *
 * What a test must not touch is stood in for: `sudo` runs what follows; `systemctl` starts what the
 * unit says and stops it, for there is no systemd to ask; nginx finds its `/etc/nginx` in the test's
 * directory.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { guideTest, type Machine, says, stepsOf } from "../kit/guide.ts";
import { findPm2 } from "../kit/pm2.ts";
import { blocksOf, PAGES } from "../unit/docs/pages.ts";

const SUDO = `exec "$@"`;

const SYSTEMCTL = `
unit=$AT/etc/systemd/system/supervisor-shop.service
cd "$(sed -n 's/^WorkingDirectory=//p' "$unit")" || exit
start() {
  setsid $(sed -n 's/^ExecStart=//p' "$unit") >"$AT/daemon.out" 2>&1 </dev/null &
  echo $! >"$AT/unit.pid"
  until supervisor status >/dev/null 2>&1; do sleep 0.1; done
}
stop() {
  kill "$(cat "$AT/unit.pid")"
  while supervisor status >/dev/null 2>&1; do sleep 0.1; done
}
case "$*" in
  daemon-reload) ;;
  "enable --now supervisor-shop") start ;;
  "restart supervisor-shop") stop; start ;;
  "stop supervisor-shop") stop ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac`;

const NGINX = `
conf=$AT/etc/nginx/nginx.conf
cat >"$conf" <<END
user root;
worker_processes 1;
pid $AT/nginx.pid;
error_log $AT/nginx.log;
events {}
http {
  access_log off;
  client_body_temp_path $AT/body; proxy_temp_path $AT/proxy;
  fastcgi_temp_path $AT/fastcgi; uwsgi_temp_path $AT/uwsgi; scgi_temp_path $AT/scgi;
  include $AT/etc/nginx/conf.d/*.conf;
}
END
PATH=\${PATH#*:} exec nginx -e "$AT/nginx.log" -p "$AT" -c "$conf" "$@"`;

/** Why a guide cannot be walked through, when a program of the system is missing. */
function needs(...tools: string[]): string | undefined {
  const missing = tools.filter((tool) =>
    !new Deno.Command("/bin/sh", { args: ["-c", `command -v ${tool}`] }).outputSync().success
  );
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`;
}

const pm2 = findPm2();

const GUIDES: Record<string, Machine> = {
  "first-deploy": { trouble: needs("node") },
  "from-pm2": { trouble: pm2.trouble, path: pm2.bin },
  "from-supervisord": { trouble: needs("node", "supervisord") },
  "from-procfile": { trouble: needs("node") },
  "from-rollbridge": { trouble: needs("node", "screen") },
  "from-roadrunner": { trouble: needs("php") },
  "systemd": {
    trouble: needs("node", "systemd-analyze"),
    programs: { sudo: SUDO, systemctl: SYSTEMCTL },
    places: ["/etc/systemd/system"],
  },
  "nginx": {
    trouble: needs("node", "nginx"),
    programs: { sudo: SUDO, nginx: NGINX },
    places: ["/etc/nginx/conf.d", "/etc/nginx"],
  },
  "workers-and-queues": { trouble: needs("php") },
};

for (const [page, machine] of Object.entries(GUIDES)) guideTest(page, machine);

Deno.test("every guide that shows commands is walked through", () => {
  const pages = PAGES.filter((page) =>
    page.name.startsWith("docs/guides/") &&
    blocksOf(page).some(({ language }) => language === "sh")
  );
  const names = pages.map(({ name }) => name.slice("docs/guides/".length, -".md".length));
  assertEquals(names.sort(), Object.keys(GUIDES).sort());
});

Deno.test("a block that belongs nowhere, words before any command, and words that are not said", () => {
  const block = { page: "x.md", line: 1 };
  assertThrows(() => stepsOf([{ ...block, language: "yaml", text: "a: 1\n" }]), Error, "x.md:1");
  assertThrows(() => stepsOf([{ ...block, language: "sh", text: "# done\n" }]), Error, "x.md:2");
  assertEquals(says("v2 is live after 3s", "v2 is live"), true);
  assertEquals(says("(pid 77): stopped", "(pid …): stopped"), true);
  assertEquals(says("v1 is live", "v2 is live"), false);
});
