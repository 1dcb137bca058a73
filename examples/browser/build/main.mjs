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

await buildSite();
process.stderr.write(`The site is in ${SITE}\n`);
if (!flags["build-only"]) {
  const { server, url } = await serve(SITE, { port: Number(flags.port) });
  process.stderr.write(`Serving it at ${url} until Ctrl-C.\n`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => { server.close(); server.closeAllConnections(); });
}
