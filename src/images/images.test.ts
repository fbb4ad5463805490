import { describe, expect, test } from "bun:test";
import { parseReference } from "../oci/mod.ts";
import { setUp } from "./testing/setup.ts";

const filter = (entries: Record<string, string[]>) => new Map(Object.entries(entries));
const all = { filter: new Map(), all: false, sharedSize: false };
const soft = { force: false, prune: true };

describe("get", () => {
  test("by name, id, prefix, and not otherwise", async () => {
    using t = await setUp();
    const image = await t.make({ names: ["a:1", "localhost:5000/x/a"], layers: ["1"] });
    await t.make({ layers: ["2"] });
    const hex = image.id.slice(7);
    for (const text of [
      "a:1",
      "docker.io/library/a:1",
      "localhost:5000/x/a",
      image.id,
      hex,
      hex.slice(0, 12),
      `sha256:${hex.slice(0, 20)}`,
    ]) {
      expect(t.images.get(text).id).toBe(image.id);
    }
    expect(image.names).toEqual(["docker.io/library/a:1", "localhost:5000/x/a:latest"]);
    expect(() => t.images.get("a")).toThrow("No such image: a:latest");
    expect(() => t.images.get("UPPER")).toThrow("No such image: UPPER");
    expect(t.images.find("sha256:")).toBeUndefined();
    expect(t.images.find("")).toBeUndefined();
  });
});

describe("register", () => {
  test("the id is the config's digest; sizes and rows are there", async () => {
    using t = await setUp();
    const image = await t.make({ layers: ["x", "y"], names: ["n"], run: { Env: ["A=b"], Labels: { l: "v" } } });
    expect(t.content.info(image.id)?.size).toBeGreaterThan(10);
    const inspect = await t.images.inspect("n");
    expect(inspect).toMatchObject({
      Id: image.id,
      RepoTags: ["n:latest"],
      Size: 200,
      Os: "linux",
      Created: "2024-01-01T00:00:00Z",
    });
    expect(inspect.Config.Env).toEqual(["A=b"]);
    expect(inspect.RootFS.Layers).toHaveLength(2);
    expect(await t.images.rootfs(image)).toStartWith("layer/sha256:");
  });
  test("a name moves to the newer image", async () => {
    using t = await setUp();
    const old = await t.make({ layers: ["1"], names: ["n"] });
    const young = await t.make({ layers: ["2"], names: ["n"] });
    expect(t.images.get("n").id).toBe(young.id);
    expect(t.images.get(old.id).names).toEqual([]);
  });
  test("refuses layers that are not there or do not fit the config", async () => {
    using t = await setUp();
    const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } } as const;
    const layer = { mediaType: "x", digest: `sha256:${"0".repeat(64)}` as const, size: 1 };
    expect(t.images.register({ config, layers: [layer] })).rejects.toThrow("1 layers, but 0 diff_ids");
    const one = { ...config, rootfs: { type: "layers", diff_ids: [layer.digest] } } as const;
    expect(t.images.register({ config: one, layers: [layer] })).rejects.toThrow("is not in the content store");
    const scratch = await t.images.register({ config, layers: [] });
    expect(await t.images.rootfs(scratch)).toBeUndefined();
  });
  test("rootfs unpacks again what was lost", async () => {
    using t = await setUp();
    const image = await t.make({ layers: ["x"] });
    t.layers.chains.clear();
    expect(await t.images.rootfs(image)).toStartWith("layer/");
    expect(t.layers.unpacked).toHaveLength(1);
  });
});

describe("list", () => {
  test("filters", async () => {
    using t = await setUp();
    await t.make({
      layers: ["1"],
      names: ["web:1", "host:80/team/web"],
      created: "2024-01-01T00:00:00Z",
      run: { Labels: { a: "1" } },
    });
    await t.make({ layers: ["2"], names: ["db"], created: "2024-01-02T00:00:00Z", run: { Labels: { a: "2" } } });
    await t.make({ layers: ["3"], created: "2024-01-03T00:00:00Z" });
    const names = async (entries: Record<string, string[]>) =>
      (await t.images.list({ ...all, filter: filter(entries) })).map((image) => image.RepoTags[0] ?? "none");
    expect(await names({})).toEqual(["none", "db:latest", "web:1"]);
    expect(await names({ dangling: ["true"] })).toEqual(["none"]);
    expect(await names({ dangling: ["0"] })).toEqual(["db:latest", "web:1"]);
    expect(await names({ label: ["a"] })).toEqual(["db:latest", "web:1"]);
    expect(await names({ label: ["a=2"] })).toEqual(["db:latest"]);
    expect(await names({ before: ["db"] })).toEqual(["web:1"]);
    expect(await names({ since: ["db"] })).toEqual(["none"]);
    expect(await names({ reference: ["we*"] })).toEqual(["web:1"]);
    expect(await names({ reference: ["*/*/web"] })).toEqual(["host:80/team/web:latest"]);
    expect(await names({ reference: ["d[a-c]:latest"] })).toEqual(["db:latest"]);
    expect(await names({ until: ["2024-01-02T00:00:00Z"] })).toEqual(["web:1"]);
    expect(await names({ until: ["24h"] })).toHaveLength(3);
    expect(names({ x: ["1"] })).rejects.toThrow("invalid filter 'x'");
    expect(names({ dangling: ["x"] })).rejects.toThrow("invalid filter 'dangling=[x]'");
    expect(names({ until: ["x"] })).rejects.toThrow("invalid filter");
    expect(names({ reference: ["["] })).rejects.toThrow("invalid filter");
    expect(names({ before: ["none"] })).rejects.toThrow("No such image: none:latest");
  });
  test("steps need all; shared sizes when asked", async () => {
    using t = await setUp();
    const step = await t.make({ layers: ["1"] });
    await t.make({ layers: ["1", "2"], names: ["a"], parent: step.id });
    expect(await t.images.list(all)).toHaveLength(1);
    const list = await t.images.list({ ...all, all: true, sharedSize: true });
    expect(list.map((image) => [image.Size, image.SharedSize])).toContainEqual([200, 100]);
    expect(list).toHaveLength(2);
  });
});

test("history: newest first, ids of parents", async () => {
  using t = await setUp();
  const step = await t.make({ layers: ["1"] });
  const image = await t.make({ layers: ["1", "2"], names: ["a"], parent: step.id });
  expect((await t.images.history("a")).map((item) => [item.Id, item.CreatedBy, item.Tags, item.Size])).toEqual([
    [image.id, "step 1", ["a:latest"], 100],
    [step.id, "step 0", null, 100],
  ]);
  const far = await t.make({ layers: ["1", "2", "3"], parent: step.id });
  expect((await t.images.history(far.id)).map(({ Id }) => Id)).toEqual([far.id, "<missing>", step.id]);
});

describe("tag", () => {
  test("adds a name and says so", async () => {
    using t = await setUp();
    const image = await t.make({ names: ["a"] });
    t.images.tag(image, parseReference("b"));
    expect(t.images.get("b").names).toHaveLength(2);
    expect(t.actions()).toEqual(["tag b:latest"]);
    expect(() => t.images.tag(image, parseReference(`b@${image.id}`))).toThrow("digest reference");
    await t.images.remove(image.id, { force: true, prune: true });
    expect(() => t.images.tag(image, parseReference("b"))).toThrow("No such image");
  });
});

describe("remove", () => {
  test("a name of several: untagged only", async () => {
    using t = await setUp();
    const image = await t.make({ names: ["a", "b"] });
    expect(await t.images.remove("a", soft)).toEqual([{ Untagged: "a:latest" }]);
    expect(await t.images.remove("b", soft)).toEqual([
      { Untagged: "b:latest" },
      { Deleted: image.id },
      { Deleted: image.config.rootfs.diff_ids[0] },
    ] as never);
    expect([...t.content.list()]).toEqual([]);
    expect(t.actions()).toEqual([`untag ${image.id}`, `untag ${image.id}`, `delete ${image.id}`]);
    expect(t.images.remove("b", soft)).rejects.toThrow("No such image: b:latest");
  });
  test("an id with several repositories needs force", async () => {
    using t = await setUp();
    const image = await t.make({ names: ["a", "b"] });
    const short = image.id.slice(7, 19);
    expect(t.images.remove(short, soft)).rejects.toThrow(
      `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
    expect((await t.images.remove(short, { force: true, prune: true })).slice(0, 3)).toEqual([
      { Untagged: "a:latest" },
      { Untagged: "b:latest" },
      { Deleted: image.id },
    ]);
  });
  test("used images", async () => {
    using t = await setUp();
    const image = await t.make({ names: ["a"] });
    const containerId = "c".repeat(64);
    let running = false;
    t.images.onUse((id) => (id === image.id ? [{ containerId, running }] : []));
    const short = image.id.slice(7, 19);
    expect(t.images.remove("a", soft)).rejects.toThrow(
      `conflict: unable to remove repository reference "a" (must force) - container cccccccccccc is using its referenced image ${short}`,
    );
    expect(t.images.remove(short, soft)).rejects.toThrow(
      `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container cccccccccccc`,
    );
    running = true;
    expect(t.images.remove(short, { force: true, prune: true })).rejects.toThrow(
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container cccccccccccc`,
    );
    expect(t.images.get("a").id).toBe(image.id);
    expect(await t.images.remove("a", { force: true, prune: true })).toEqual([{ Untagged: "a:latest" }]);
    expect(t.images.get(image.id).names).toEqual([]);
  });
  test("children protect, parents go with the last child", async () => {
    using t = await setUp();
    const parent = await t.make({ layers: ["1"] });
    const child = await t.make({ layers: ["1", "2"], names: ["a"], parent: parent.id });
    expect(t.images.remove(parent.id, { force: true, prune: true })).rejects.toThrow(
      "image has dependent child images",
    );
    const items = await t.images.remove("a", soft);
    expect(items.map((item) => item.Deleted ?? item.Untagged)).toEqual([
      "a:latest",
      child.id,
      parent.id,
      expect.any(String),
      expect.any(String),
    ] as never);
  });
  test("without prune the parent stays", async () => {
    using t = await setUp();
    const parent = await t.make({ layers: ["1"] });
    await t.make({ layers: ["1", "2"], names: ["a"], parent: parent.id });
    await t.images.remove("a", { force: false, prune: false });
    expect(t.images.find(parent.id)).toBeDefined();
    expect(t.content.info(parent.config.rootfs.diff_ids[0] as never)).toBeDefined();
  });
});

describe("prune", () => {
  test("dangling only, or all that is unused", async () => {
    using t = await setUp();
    await t.make({ layers: ["1"], names: ["a"] });
    const used = await t.make({ layers: ["2"], names: ["b"] });
    const loose = await t.make({ layers: ["3"] });
    t.images.onUse((id) => (id === used.id ? [{ containerId: "c", running: false }] : []));
    const first = await t.images.prune(new Map());
    expect(first.deleted[0]).toEqual({ Deleted: loose.id });
    expect(first.reclaimed).toBeGreaterThan(0);
    await t.images.prune(filter({ dangling: ["false"] }));
    expect((await t.images.list(all)).map((image) => image.Id)).toEqual([used.id]);
    expect(t.images.prune(filter({ reference: ["a"] }))).rejects.toThrow("invalid filter 'reference'");
  });
});
