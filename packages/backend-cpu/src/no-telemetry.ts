// As it comes from npm, onnxruntime keeps an identifier of the device in the user's cache and sends reports of what it runs.
// It asks for this variable once, when it starts.
process.env["ORT_DISABLE_TELEMETRY"] ??= "1";

export {};
