/** Where the time of a step goes, by onnxruntime's own profile of every program. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession } from "onnxruntime-node";
import { ProgramCache } from "../dist/program.js";

const PRODUCTS = new Set(["Gemm", "MatMul", "FusedMatMul", "Conv", "FusedConv"]);

/** Programs that compose blocks, and that reduce gradients to those of coefficients. */
const COMPOSES = /^(tile|stack)-/;

/** From now on every program of this process is profiled. @returns what sums the profiles up and removes them. */
export function profilePrograms() {
  const folder = mkdtempSync(join(tmpdir(), "atlas-bench-"));
  const programs = new Map();
  const create = InferenceSession.create.bind(InferenceSession);
  let made = 0;
  InferenceSession.create = async (model, options) => {
    const prefix = `program-${made++}`;
    const session = await create(model, { ...options, enableProfiling: true, profileFilePrefix: join(folder, prefix) });
    return Object.assign(session, { profilePrefix: `${prefix}_` });
  };
  const get = ProgramCache.prototype.get;
  ProgramCache.prototype.get = async function profiled(key, graph) {
    const program = await get.call(this, key, graph);
    programs.set(program.session, key);
    return program;
  };

  /** Shares of `stepMs` in matrix products, composition and all else. @param steps how many equal steps were taken; the last counts. */
  return function shares(steps, stepMs) {
    let products = 0;
    let composition = 0;
    for (const [session, key] of programs) {
      session.endProfiling();
      const file = readdirSync(folder).find((name) => name.startsWith(session.profilePrefix));
      const events = JSON.parse(readFileSync(join(folder, file), "utf8"));
      const nodes = events.filter(({ cat, name }) => cat === "Node" && name.endsWith("_kernel_time"));
      for (const { dur, args } of nodes.slice(nodes.length - nodes.length / steps)) {
        if (COMPOSES.test(key)) composition += dur / 1000;
        else if (PRODUCTS.has(args.op_name)) products += dur / 1000;
      }
    }
    rmSync(folder, { recursive: true, force: true });
    return { products: products / stepMs, composition: composition / stepMs, rest: 1 - (products + composition) / stepMs };
  };
}
