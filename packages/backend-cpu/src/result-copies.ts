import { encodeOnnxModel, type OnnxModel } from "@atlas-tv/core";
import { Graph } from "./graph.js";
import { InferenceSession, Tensor } from "./onnxruntime.js";

/**
 * onnxruntime-node writes results into the tensors that `run` is given and then copies each into a new array, which nobody
 * reads here: a sixteenth of a training step of ViT-B/32. It converts results in the order in which the model declares
 * them and rejects one that has no form in JavaScript, such as a list of tensors. A list declared first therefore ends
 * the conversion after the program has run and before the first copy.
 */
const UNREAD = "unread";

const REJECTION = "Non tensor type is temporarily not supported.";

const FLOAT32 = 1;

/** The model with an empty list as its first result, to be run by `runWithoutCopies`. */
export function withoutCopies(model: OnnxModel): OnnxModel {
  const list = { type: "SequenceEmpty", domain: "", inputs: [], outputs: [UNREAD], attributes: { dtype: FLOAT32 } };
  return {
    ...model,
    nodes: [...model.nodes, list],
    outputs: [{ name: UNREAD, element: "float32", shape: [], sequence: true }, ...model.outputs],
  };
}

/** Runs a program made by `withoutCopies`; results are only in the tensors of `outputs`. */
export async function runWithoutCopies(
  session: InferenceSession,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
): Promise<void> {
  try {
    await session.run(inputs, { ...outputs, [UNREAD]: null });
  } catch (error) {
    if (!(error instanceof Error) || error.message !== REJECTION) throw error;
  }
}

async function doubles(): Promise<boolean> {
  const graph = new Graph();
  const x = graph.input("x", [2]);
  graph.output("y", graph.add(x, x), [2]);
  const y = new Float32Array(2);
  try {
    const session = await InferenceSession.create(Buffer.concat([...encodeOnnxModel(withoutCopies(graph.model()))]));
    const shape = [y.length];
    await runWithoutCopies(session, { x: new Tensor("float32", Float32Array.of(1, 2), shape) }, { y: new Tensor("float32", y, shape) });
    await session.release();
  } catch {
    return false;
  }
  return y[0] === 2 && y[1] === 4;
}

let known: Promise<boolean> | null = null;

/** Whether the installed onnxruntime-node writes all results before it rejects one: asked of a small program, once. */
export function canRunWithoutCopies(): Promise<boolean> {
  return known ??= doubles();
}
