import { InputError } from "@atlas-tv/core";
import { encode } from "fast-png";
import { expect, it } from "vitest";
import { decodeImageBlob } from "../src/index.js";

it("decodes a PNG as in Node, its alpha kept", async () => {
  const data = Uint8Array.of(10, 20, 30, 40, 50, 60, 70, 80);
  const png = encode({ width: 2, height: 1, channels: 4, data });
  expect(await decodeImageBlob(new Blob([new Uint8Array(png)]), "two pixels")).toEqual({ width: 2, height: 1, channels: 4, data });
});

it("refuses what is no image, and quotes how it begins", async () => {
  const refused = decodeImageBlob(new Blob([Uint8Array.of(0x25, 0x50, 0x44, 0x46, 0xff)]), "page.pdf");
  await expect(refused).rejects.toThrow(InputError);
  await expect(refused).rejects.toThrow(/^page\.pdf\n {2}got: a file that starts with 25 50 44 46 ff/);
  await expect(decodeImageBlob(new Blob(["plain text"]), "notes.png")).rejects.toThrow('"plain text"');
});
