/**
 * The stages of a ResNet hand on y = ReLU(s), but derivatives with respect to s: the slope of a stage's last ReLU is
 * applied by the stage that reads y, as it is 1 where y > 0 and 0 elsewhere. No stage needs its own output again.
 */
import type { Graph, Value } from "./graph.js";

const FLOAT = 1;

export function relu(graph: Graph, x: Value): Value {
  return graph.node("Relu", [x]);
}

/** d where y = ReLU(s) is positive, 0 elsewhere: from dL/dy to dL/ds, and from a change of s to that of y. */
export function throughRelu(graph: Graph, d: Value, y: Value): Value {
  return graph.mul(d, graph.node("Cast", [graph.node("Greater", [y, graph.scalar(0)])], { to: FLOAT }));
}
