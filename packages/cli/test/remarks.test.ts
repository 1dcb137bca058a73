import { describe, expect, test } from "vitest";
import { Remarks } from "../src/terminal.js";

describe("remarks", () => {
  function remarks() {
    const said: string[] = [];
    const terminal = { out: () => {}, note: (text: string) => said.push(text), columns: 80, signal: new AbortController().signal };
    return { said, all: new Remarks(terminal as never, false) };
  }

  test("of one run are no other run's, and general ones are every run's", () => {
    const { all } = remarks();
    all.add("no text encoder");
    const first = all.ofRun();
    first.add("no epoch qualified");
    const second = all.ofRun();
    second.add("epoch 3 is kept");
    expect([first.all, second.all]).toEqual([["no text encoder", "no epoch qualified"], ["no text encoder", "epoch 3 is kept"]]);
    expect(all.all).toEqual(["no text encoder", "no epoch qualified", "epoch 3 is kept"]);
  });

  test("that several runs make are said once and recorded with each", () => {
    const { all, said } = remarks();
    const runs = [all.ofRun(), all.ofRun()];
    for (const run of runs) run.add("no validation images");
    expect(said).toEqual(["note: no validation images"]);
    expect(runs.map((run) => run.all)).toEqual([["no validation images"], ["no validation images"]]);
  });
});
