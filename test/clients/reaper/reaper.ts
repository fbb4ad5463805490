/**
 * A resource reaper as testcontainers knows it, small: on port 8080 it takes lines such as `label=NAME=VALUE&label=…`,
 * answers each with ACK, and when the last connection has been gone for a moment it removes every container, network, volume
 * and image that carries the labels of one of those lines, and at last the container it is in.
 */
import { hostname } from "node:os";

const filters = new Set<string>();
let connections = 0;

Bun.listen<{ rest: string }>({
  hostname: "0.0.0.0",
  port: 8080,
  socket: {
    open: (socket) => {
      socket.data = { rest: "" };
      connections++;
    },
    data: (socket, bytes) => {
      const lines = (socket.data.rest + bytes.toString()).split("\n");
      socket.data.rest = lines.pop() ?? "";
      for (const line of lines) {
        filters.add(line.trim());
        socket.write("ACK\n");
      }
    },
    close: () => {
      connections--;
      setTimeout(() => void reapWhenAlone(), 500);
    },
  },
});
process.stdout.write("Started\n");

async function reapWhenAlone(): Promise<void> {
  if (connections > 0) return;
  for (const line of filters) await reap(new URLSearchParams(line).getAll("label"));
  await ask("DELETE", `/containers/${hostname()}?force=1`);
}

async function reap(label: readonly string[]): Promise<void> {
  const found = encodeURIComponent(JSON.stringify({ label }));
  const containers = (await ask("GET", `/containers/json?all=1&filters=${found}`)) as { Id: string }[];
  for (const { Id } of containers.filter(({ Id }) => !Id.startsWith(hostname())))
    await ask("DELETE", `/containers/${Id}?force=1&v=1`);
  for (const { Id } of (await ask("GET", `/networks?filters=${found}`)) as { Id: string }[])
    await ask("DELETE", `/networks/${Id}`);
  const { Volumes } = (await ask("GET", `/volumes?filters=${found}`)) as { Volumes: { Name: string }[] | null };
  for (const { Name } of Volumes ?? []) await ask("DELETE", `/volumes/${Name}?force=1`);
  for (const { Id } of (await ask("GET", `/images/json?filters=${found}`)) as { Id: string }[])
    await ask("DELETE", `/images/${Id}?force=1`);
}

async function ask(method: string, path: string): Promise<unknown> {
  const answer = await fetch(`http://engine${path}`, { method, unix: "/var/run/docker.sock" });
  const text = await answer.text();
  return text === "" ? undefined : JSON.parse(text);
}
