import { expect, test } from "bun:test";
import { archive, type Entry } from "../../layers/testing/store.ts";
import { TarDecoder } from "../../stream/mod.ts";
import { LayerMerger } from "./merge-layers.ts";

/** What comes of layers on top of each other: names, with what they are. */
async function merged(...layers: (Entry | string)[][]): Promise<string[]> {
  const merger = new LayerMerger();
  const tars: Buffer[] = [];
  for (const entries of layers) {
    const tar = await archive(...entries);
    merger.nextLayer();
    const decoder = new TarDecoder(merger);
    merger.pushing(tar, 0);
    decoder.push(tar);
    tars.push(tar);
  }
  return Array.from(merger.entries(), ({ header, place }) => {
    const name = Buffer.from(header.name).toString();
    if (header.type === "hardlink") return `${name} = ${Buffer.from(header.linkname ?? [])}`;
    const content = place && tars[place.layer]?.subarray(place.offset, place.offset + Number(header.size));
    return header.type === "directory"
      ? `${name}/ ${header.mode.toString(8)}`
      : `${name}${content ? `: ${content}` : ""}`;
  });
}

const text = (name: string, content: string): Entry => ({ name, text: content });
const link = (name: string, linkname: string): Entry => ({ name, type: "hardlink", linkname });

test("the last of a name counts, directories keep what is in them", async () => {
  const below = [{ name: "d/", mode: 0o700 }, text("d/a", "1"), text("d/b", "1"), text("z", "1")];
  expect(await merged(below, [{ name: "d/", mode: 0o750 }, text("d/b", "2"), text("d/c", "2")])).toEqual([
    ...["d/ 750", "d/a: 1", "d/b: 2", "d/c: 2", "z: 1"],
  ]);
});

test("what is deleted stays deleted, whatever comes after it", async () => {
  expect(await merged(["d/", "d/a", "f"], ["d/.wh.a", ".wh.f", ".wh.other"])).toEqual([
    ...["d/ 755", "d/.wh.a", ".wh.f", ".wh.other"],
  ]);
  expect(await merged([".wh.d", ".wh.f"], ["d/", "d/x", text("f", "F")])).toEqual([
    ...["d/ 755", "d/.wh..wh..opq", "d/x", "f: F"],
  ]);
});

test("a directory that is emptied or takes a file's place hides what is below; a file needs no mark", async () => {
  expect(await merged(["d/", "d/a"], ["d/", "d/.wh..wh..opq", "d/b"])).toEqual(["d/ 755", "d/.wh..wh..opq", "d/b"]);
  expect(await merged([text("x", "1")], ["x/", "x/y"])).toEqual(["x/ 755", "x/.wh..wh..opq", "x/y"]);
  expect(await merged(["x/", "x/y"], [text("x", "1")])).toEqual(["x: 1"]);
});

test("names of one file stay one, also when its first name is replaced", async () => {
  const below = [text("a", "A"), link("b", "a"), link("c", "a")];
  expect(await merged(below)).toEqual(["a: A", "b = a", "c = a"]);
  expect(await merged(below, [text("a", "new")])).toEqual(["a: new", "b: A", "c = b"]);
  expect(await merged(below, [".wh.a"])).toEqual([".wh.a", "b: A", "c = b"]);
});

test("directories that are only on the way are not told", async () => {
  expect(await merged(["d/sub/f"])).toEqual(["d/sub/f"]);
});
