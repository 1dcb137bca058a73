import { type StateDict } from "@atlas-tv/core";
import { linearisedParameters } from "./linearised-tensors.js";

/** A table of coefficients has a row for each task vector: models have larger matrices in their first places. */
const MAX_ROWS = 256;

/** Names of data sets, not of parameters. */
const TABLE_NAME = /^[A-Za-z0-9_-]+$/;

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

function isTable(dict: StateDict): boolean {
  return [...dict].every(([name, { shape }]) => TABLE_NAME.test(name) && (shape.length === 1 || shape.length === 2) && (shape[0] ?? 0) <= MAX_ROWS && name !== "weight" && name !== "bias");
}

/** What tensors seem to be, for the message when they are not what was expected: "a classification head of 10 classes, width 512". */
export function describeTensors(dict: StateDict): string {
  const [first] = dict;
  if (first === undefined) return "no tensors";
  const [name, { dtype, shape }] = first;
  const weight = dict.get("weight");
  const head = weight?.shape.length === 2 && [...dict.keys()].every((key) => key === "weight" || key === "bias");
  if (head) return `a classification head of ${weight.shape[0]} classes, width ${weight.shape[1]}`;
  if (dict.size === 1 && name === "tensor") return `a single tensor, ${dtype} of shape ${shapeText(shape)}${dtype === "I64" ? ", as lists of chosen images are saved" : ""}`;
  if (linearisedParameters(dict, "params") !== null) return "a linearised model";
  if (dict.has("coef")) return `learned coefficients of shape ${shapeText(dict.get("coef")!.shape)}`;
  if (isTable(dict)) return `learned coefficients of ${dict.size === 1 ? name : `${dict.size} data sets`}, ${shapeText(shape)} each`;
  const towers = [["an image encoder", /^visual\./], ["a text encoder", /^(transformer\.|token_embedding\.|ln_final\.)/]] as const;
  const there = towers.filter(([, pattern]) => [...dict.keys()].some((key) => pattern.test(key))).map(([what]) => what);
  if (there.length > 0) return `${there.join(" and ")} (${dict.size} tensors)`;
  return `${dict.size} tensors, "${name}" of shape ${shapeText(shape)} the first`;
}
