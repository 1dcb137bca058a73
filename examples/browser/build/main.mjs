/** Builds the site and serves it on this machine; with `--build-only` it stops after building. */
import { parseArgs } from "node:util";
import { serve } from "./server.mjs";
import { buildSite, SITE } from "./site.mjs";

const DEFAULT_PORT = "8080";

const { values: flags } = parseArgs({
  options: {
    port: { type: "string", default: DEFAULT_PORT },
    "build-only": { type: "boolean", default: false },
  },
});

const LAST_PORT = 65_535;

function refuse(got, expected) {
  process.stderr.write(`--port\n  got: ${got}\n  expected: ${expected}\n`);
  process.exit(2);
}

const port = Number(flags.port);
if (!/^\d+$/.test(flags.port) || port > LAST_PORT) refuse(flags.port, `a whole number up to ${LAST_PORT}`);

await buildSite();
process.stderr.write(`The site is in ${SITE}\n`);
if (!flags["build-only"]) {
  const { server, url } = await serve(SITE, { port }).catch((failure) => {
    if (failure.code !== "EADDRINUSE" && failure.code !== "EACCES") throw failure;
    refuse(`${port}, which ${failure.code === "EACCES" ? "may not be used here" : "is in use"}`, "a free port, such as 9000");
  });
  process.stderr.write(`Serving it at ${url} until Ctrl-C.\n`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => { server.close(); server.closeAllConnections(); });
}
