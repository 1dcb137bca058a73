import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** A module outside the checkout finds tfjs-core by its path; one in a project of its own would by its name. */
function moduleUrl(name: string): string {
  return pathToFileURL(createRequire(import.meta.url).resolve(name)).href;
}

function source(kind: string, id: string, factory: string): string {
  return `
    import * as tf from "${moduleUrl("@tensorflow/tfjs-core")}";
    const options = { safeParse: (given) => ({ success: true, data: { level: 1, ...given } }) };
    export const plugin = {
      id: "${id}", kind: "${kind}", options,
      register: (container) => { container.register(Symbol.for("atlas-tv.${kind}"), { useValue: ${factory} }); },
    };`;
}

/** An adapter "demo" that reads the logits off the first features. */
export const ADAPTER = source(
  "adapter",
  "demo",
  `{
  id: "demo",
  fit: async ({ head, options }) => ({
    logits: (features) => tf.slice(features, [0, 0], [-1, head.classNames.length]),
    state: () => new Map([["level", { dtype: "F32", shape: [1], data: Float32Array.of(options.level) }]]),
  }),
}`,
);

/** An objective "shrink" that makes features small. */
export const OBJECTIVE = source(
  "objective",
  "shrink",
  `{
  id: "shrink",
  create: () => ({ id: "shrink", views: ({ images }) => [images], loss: ([features]) => tf.mean(tf.square(features)) }),
}`,
);

/** A backend "tfjs-cpu" on the plain JavaScript backend of tfjs, which by itself greets people on the terminal. */
export const BACKEND = `
  import "${moduleUrl("@tensorflow/tfjs-backend-cpu")}";
  import { PlainBackend } from "${moduleUrl("@atlas-tv/core")}";
  export const plugin = {
    id: "tfjs-cpu", kind: "backend", options: { safeParse: (data) => ({ success: true, data }) },
    register: (container) => { container.register(Symbol.for("atlas-tv.backend"), { useValue: new PlainBackend("cpu") }); },
  };`;

/**
 * A backend "poisoned": the CPU's, whose features in training are NaN from the forward pass `globalThis.poisonedFrom` on;
 * `globalThis.forwardPasses` counts them.
 */
export const POISONED_BACKEND = `
  import * as tf from "${moduleUrl("@tensorflow/tfjs-core")}";
  const TOKEN = Symbol.for("atlas-tv.backend");
  const poisoned = (composed) => ({
    features: (inputs) => composed.features(inputs),
    dispose: () => composed.dispose(),
    forward: async (inputs) => {
      const pass = await composed.forward(inputs);
      globalThis.forwardPasses = (globalThis.forwardPasses ?? 0) + 1;
      if (globalThis.forwardPasses < (globalThis.poisonedFrom ?? Infinity)) return pass;
      const features = tf.mul(pass.features, NaN);
      return { features, backward: (gradient) => pass.backward(gradient), dispose: () => { features.dispose(); pass.dispose(); } };
    },
  });
  const wrapped = (encoder) => new Proxy(encoder, {
    get: (target, name) => {
      if (name === "compose") return async (coefficients) => poisoned(await target.compose(coefficients));
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  export const plugin = {
    id: "poisoned", kind: "backend", options: { safeParse: (data) => ({ success: true, data }) },
    register: (container) => {
      const [cpu] = container.resolveAll(TOKEN);
      container.register(TOKEN, { useValue: {
        id: "poisoned", probe: () => cpu.probe(), activate: () => cpu.activate(),
        compile: async (...given) => wrapped(await cpu.compile(...given)),
      } });
    },
  };`;
