import { unitRows } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { presentBackends } from "../../../test/parity/present-backends.js";
import { closeTo, floats, tolerance } from "../../core/test/fixture-files.js";
import { largestEigenvalue, lppStart } from "../src/index.js";
import { expected, golden, head, shots } from "./golden-shots.js";
import { lppSuite } from "./lpp-suite.js";

describe("LP++ starts", () => {
  it("from the golden weights, blend and step sizes", async () => {
    const { parameters, weightRate, alphaRate } = lppStart(head, shots);
    const limit = tolerance("adapters.lpp_init");
    closeTo(parameters.weight, await floats(golden, "lpp.init_weight"), limit, "weight");
    closeTo(parameters.alpha, await floats(golden, "lpp.init_alpha_vec"), limit, "alpha");
    closeTo(parameters.alpha[0]!, expected.lpp_init.alpha_init, limit, "alpha_init");
    closeTo(weightRate, expected.lpp_init.lr_w, limit, "lr_w");
    closeTo(alphaRate, expected.lpp_init.lr_alpha, limit, "lr_alpha");
    closeTo(largestEigenvalue(unitRows(shots), head.width), expected.lpp_init.lambda_max, limit, "λmax");
    expect(parameters.bias).toEqual(new Float32Array(head.classNames.length));
  });
});

for (const backend of presentBackends) lppSuite(backend);
