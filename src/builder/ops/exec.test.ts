import { expect, test } from "bun:test";
import { environment } from "./exec-spec.ts";

test("the environment: the image's and arguments, proxies below them, PATH and HOME in any case", () => {
  const op = { env: ["A=1", "A=2", "HTTP_PROXY=own"], hiddenEnv: ["HTTP_PROXY=hidden", "NO_PROXY=x=y"] };
  expect(environment(op, { home: "/h" })).toEqual([
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HTTP_PROXY=own",
    "NO_PROXY=x=y",
    "A=2",
    "HOME=/h",
  ]);
  expect(environment({ env: ["PATH=/p", "HOME=/q"], hiddenEnv: [] }, { home: "/h" })).toEqual(["PATH=/p", "HOME=/q"]);
});
