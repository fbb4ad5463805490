import { describe, expect, test } from "bun:test";
import { applyChanges } from "./changes.ts";

const base = { Env: ["PATH=/bin", "A=1"], Cmd: ["old"], WorkingDir: "/w" };

describe("applyChanges", () => {
  const good: [string[], object][] = [
    [['CMD ["a", "b"]'], { Cmd: ["a", "b"] }],
    [["cmd echo $HOME"], { Cmd: ["/bin/sh", "-c", "echo $HOME"] }],
    [['ENTRYPOINT ["e"]'], { Entrypoint: ["e"], Cmd: null }],
    [['CMD ["c"]', 'ENTRYPOINT ["e"]'], { Entrypoint: ["e"], Cmd: ["c"] }],
    [[`ENV A=2 B="x y" C=$A-\${A}-\${Z:-d}\${A:+e}`], { Env: ["PATH=/bin", "A=2", "B=x y", "C=1-1-de"] }],
    [["ENV D some text", "ENV E='$A'\\$"], { Env: ["PATH=/bin", "A=1", "D=some text", "E=$A$"] }],
    [
      ["EXPOSE 80 53/udp 1000-1002"],
      { ExposedPorts: { "80/tcp": {}, "53/udp": {}, "1000/tcp": {}, "1001/tcp": {}, "1002/tcp": {} } },
    ],
    [['LABEL a=b "c d"="e f"'], { Labels: { a: "b", "c d": "e f" } }],
    [["ONBUILD RUN x"], { OnBuild: ["RUN x"] }],
    [["STOPSIGNAL SIGUSR1", "USER me:you"], { StopSignal: "SIGUSR1", User: "me:you" }],
    [['VOLUME ["/a b", "/c"]', "VOLUME /d /e"], { Volumes: { "/a b": {}, "/c": {}, "/d": {}, "/e": {} } }],
    [["WORKDIR sub", "WORKDIR ../x"], { WorkingDir: "/w/x" }],
    [
      ["HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f x"],
      { Healthcheck: { Test: ["CMD-SHELL", "curl -f x"], Interval: 90e9, Timeout: 500e6, Retries: 3 } },
    ],
    [['HEALTHCHECK CMD ["a"]'], { Healthcheck: { Test: ["CMD", "a"] } }],
    [["HEALTHCHECK NONE"], { Healthcheck: { Test: ["NONE"] } }],
    [["# comment\nUSER \\\n me\n\n"], { User: "me" }],
  ];
  for (const [changes, expected] of good) {
    test(changes.join("; "), () => expect(applyChanges(base, changes)).toEqual({ ...base, ...expected } as never));
  }
  const bad: [string, RegExp][] = [
    ["RUN x", /^RUN is not a valid change command$/],
    ["constructor x", /constructor is not a valid change command/],
    ["CMD", /CMD requires at least one argument/],
    ["EXPOSE 99999", /Invalid containerPort: 99999/],
    ["EXPOSE 80/x", /Invalid proto: x/],
    ["ENV A", /ENV must have two arguments/],
    ["ENV A=1 B", /can't find =/],
    ["LABEL =x", /LABEL names can not be blank/],
    ['ENV A="x', /double-quote/],
    ["ENV A=${A", /substitution/],
    ["USER a b", /USER requires exactly one argument/],
    ["ONBUILD ONBUILD RUN x", /Chaining ONBUILD/],
    ["ONBUILD FROM x", /FROM isn't allowed as an ONBUILD trigger/],
    ["HEALTHCHECK --x=1 CMD a", /Unknown flag: x/],
    ["HEALTHCHECK --interval=1 CMD a", /invalid duration "1"/],
    ["HEALTHCHECK RUN a", /Unknown type "RUN"/],
    ["HEALTHCHECK CMD", /Missing command/],
    ["STOPSIGNAL -x", /invalid signal/],
  ];
  for (const [change, message] of bad) {
    test(`refuses ${change}`, () => expect(() => applyChanges(base, [change])).toThrow(message));
  }
});
