/** Programs are ONNX graphs; this package calls them and their values by their short names. */
export { OnnxGraph as Graph, type OnnxValue as Value } from "@atlas-tv/core";
