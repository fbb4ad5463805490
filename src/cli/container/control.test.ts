import { expect, test } from "bun:test";
import { cli, refusing } from "../testing/fake.ts";

const gone = refusing("not-found", "No such container: nope");
const nope = "Error response from daemon: No such container: nope\n";

/** Commands that do one thing to each name: what they ask, and that they go on after a failure. */
const each: readonly (readonly [argv: string, request: string, query: string])[] = [
  ["stop", "POST /containers/NAME/stop", ""],
  ["stop -t 3 -s HUP", "POST /containers/NAME/stop", "?signal=HUP&t=3"],
  ["stop --time -1", "POST /containers/NAME/stop", "?t=-1"],
  ["restart --timeout 0", "POST /containers/NAME/restart", "?t=0"],
  ["kill", "POST /containers/NAME/kill", ""],
  ["kill -s USR1", "POST /containers/NAME/kill", "?signal=USR1"],
  ["pause", "POST /containers/NAME/pause", ""],
  ["unpause", "POST /containers/NAME/unpause", ""],
  ["start", "POST /containers/NAME/start", ""],
  ["rm", "DELETE /containers/NAME", "?force=false&v=false&link=false"],
  ["rm -v", "DELETE /containers/NAME", "?force=false&v=true&link=false"],
  ["container rm", "DELETE /containers/NAME", "?force=false&v=false&link=false"],
  ["container stop", "POST /containers/NAME/stop", ""],
  ["volume rm -f", "DELETE /volumes/NAME", "?force=true"],
  ["network rm", "DELETE /networks/NAME", ""],
];

test.each(each)("%s", async (argv, request, query) => {
  const at = (name: string) => request.replace("NAME", name);
  const answers = { [at("a")]: {}, [at("nope")]: gone, [at("b")]: {} };
  const ran = await cli([...argv.split(" "), "a", "nope", "b"], { answers });
  expect(ran).toMatchObject({ status: 1, out: "a\nb\n", err: nope });
  expect(ran.asked).toEqual(["a", "nope", "b"].map((name) => at(name) + query));
  expect((await cli([...argv.split(" "), "a"], { answers })).status).toBe(0);
});

test("names are escaped", async () => {
  const ran = await cli(["stop", "a/../b?c"], { answers: { "POST /containers/a%2F..%2Fb%3Fc/stop": {} } });
  expect(ran).toMatchObject({ status: 0, out: "a/../b?c\n" });
});

test("rm -f is content with what is not there", async () => {
  const ran = await cli(["rm", "-f", "nope"], { answers: { "DELETE /containers/nope": gone } });
  expect(ran).toMatchObject({ status: 0, out: "", err: nope });
  const running = refusing("conflict", 'cannot remove container "/a": container is running');
  expect(await cli(["rm", "-f", "a"], { answers: { "DELETE /containers/a": running } })).toMatchObject({ status: 1 });
});

test("rm --link removes a link by its owner's name", async () => {
  const ran = await cli(["rm", "-l", "/web/db"], { answers: { "DELETE /containers/web/db": {} } });
  expect(ran).toMatchObject({ status: 0, out: "/web/db\n" });
});

test("network rm -f is content with what is not there, and says nothing", async () => {
  const ran = await cli(["network", "rm", "-f", "nope"], { answers: { "DELETE /networks/nope": gone } });
  expect(ran).toMatchObject({ status: 0, out: "", err: "" });
});

test("wait prints each status", async () => {
  const answers = { "POST /containers/a/wait": { StatusCode: 3 }, "POST /containers/nope/wait": gone };
  expect(await cli(["wait", "a", "nope"], { answers })).toMatchObject({ status: 1, out: "3\n", err: nope });
});

test("rename", async () => {
  const ran = await cli(["rename", "a", "b"], { answers: { "POST /containers/a/rename": {} } });
  expect(ran).toMatchObject({ status: 0, out: "", asked: ["POST /containers/a/rename?name=b"] });
});

test("update sends only what may change, and tells warnings", async () => {
  const answers = { "POST /containers/a/update": { Warnings: ["mind the swap"] } };
  const ran = await cli(["update", "-m", "1g", "--cpus", "1.5", "--restart", "on-failure:2", "a"], { answers });
  expect(ran).toMatchObject({ status: 0, out: "a\nmind the swap\n", err: "" });
  expect(ran.bodies).toMatchObject([
    { Memory: 2 ** 30, NanoCpus: 1.5e9, RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } },
  ]);
  expect(await cli(["update", "a"])).toMatchObject({
    status: 1,
    err: "you must provide one or more flags when using this command\n",
  });
  expect(await cli(["update", "--restart", "on-failure:x", "a"])).toMatchObject({
    status: 1,
    err: "invalid restart policy format: maximum retry count must be an integer\n",
  });
});

test("commit", async () => {
  const answers = { "POST /commit": { Id: "sha256:abc" } };
  const argv = ["commit", "-a", "me", "-m", "why", "-c", "CMD x", "-c", "ENV a=b", "-p=false", "web", "reg:5000/app:1"];
  const ran = await cli(argv, { answers });
  expect(ran).toMatchObject({ status: 0, out: "sha256:abc\n" });
  expect(ran.asked).toEqual([
    "POST /commit?container=web&repo=reg:5000/app&tag=1&author=me&comment=why&changes=CMD x&changes=ENV a=b&pause=false",
  ]);
});
