import { expect, test } from "bun:test";
import { cli, refusing } from "../testing/fake.ts";

const [id, old] = ["c".repeat(64), "d".repeat(64)];
const gone = refusing("not-found", "No such container");
const held = { Id: old, Name: "/web" };
const create = (answers: Record<string, unknown>) => cli(["create", "--replace", "--name", "web", "x"], { answers });
const good = {
  "GET /containers/web/json": held,
  "POST /containers/create": { Id: id, Warnings: [] },
  [`DELETE /containers/${old}`]: {},
  [`DELETE /containers/${id}`]: {},
  [`POST /containers/${id}/rename`]: {},
};

test("the new one is made before the old one goes", async () => {
  const ran = await create(good);
  expect(ran).toMatchObject({ status: 0, out: `${id}\n`, err: "" });
  expect(ran.asked.map((one) => one.replace(/-replacing-[0-9a-f]{8}/, "-replacing-X"))).toEqual([
    "GET /containers/web/json",
    "POST /containers/create?name=web-replacing-X",
    `DELETE /containers/${old}?force=true`,
    `POST /containers/${id}/rename?name=web`,
  ]);
});

test("a name that nobody has is no more than a name", async () => {
  const ran = await create({ ...good, "GET /containers/web/json": gone });
  expect(ran.asked).toEqual(["GET /containers/web/json", "POST /containers/create?name=web"]);
  const prefix = await create({ ...good, "GET /containers/web/json": { Id: old, Name: "/other" } });
  expect(prefix.asked).toContain("POST /containers/create?name=web");
});

test("a failure to create touches nothing", async () => {
  const ran = await create({ ...good, "POST /containers/create": refusing("invalid", "no") });
  expect(ran.status).toBe(1);
  expect(ran.asked.some((one) => one.startsWith("DELETE"))).toBe(false);
});

test("one that cannot be removed stays, and its successor goes", async () => {
  const stuck = refusing("internal", "its process does not end");
  const ran = await create({ ...good, [`DELETE /containers/${old}`]: stuck });
  expect(ran.err).toContain("The container web cannot be replaced, and is left as it is: ");
  expect(ran.asked).toContain(`DELETE /containers/${id}?force=true`);
});

test("one that is being removed by itself is waited for", async () => {
  let asked = 0;
  const busy = () => {
    if (asked++ === 0) throw refusing("conflict", "removal of container is already in progress");
    throw gone;
  };
  const wait = { [`POST /containers/${old}/wait`]: { StatusCode: 0 } };
  const ran = await create({ ...good, ...wait, [`DELETE /containers/${old}`]: busy });
  expect(ran).toMatchObject({ status: 0, out: `${id}\n` });
});

test("a name that somebody took meanwhile: it is said which is gone and what the new one is called", async () => {
  const ran = await create({ ...good, [`POST /containers/${id}/rename`]: refusing("conflict", "in use") });
  expect(ran.err).toMatch(
    /The container web \(d{12}\) was removed, and its successor is called web-replacing-[0-9a-f]{8}/,
  );
});
