/**
 * Asks 127.0.0.11 for names, so many a second whatever comes back, and prints what came of it as JSON:
 * names-load.ts PER_SECOND SECONDS NAME... Runs in a container's network namespace.
 */
const [perSecond = 0, seconds = 0] = process.argv.slice(2, 4).map(Number);
const names = process.argv.slice(4);
const sockets = 16;

interface Asker {
  readonly socket: Bun.udp.ConnectedSocket<"buffer">;
  /** When each id was sent, in milliseconds. */
  readonly sent: Float64Array;
  next: number;
}

const times: number[] = [];
const askers = await Promise.all(Array.from({ length: sockets }, openAsker));
const questions = names.flatMap((name) => [1, 28].map((type) => question(name, type)));
const started = performance.now();
let count = 0;
while (count < perSecond * seconds) {
  const due = Math.min(perSecond * seconds, ((performance.now() - started) / 1000) * perSecond);
  for (; count < due; count++) ask(askers[count % sockets] as Asker, questions[count % questions.length] as Buffer);
  await Bun.sleep(1);
}
const sending = performance.now() - started;
await Bun.sleep(1000); // the last answers; a resolver that takes longer has failed
const sorted = times.toSorted((a, b) => a - b);
const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
const rate = (count / sending) * 1000;
process.stdout.write(
  JSON.stringify({ asked: count, answered: times.length, rate, median: at(0.5), p99: at(0.99), worst: at(1) }),
);
process.exit(0);

async function openAsker(): Promise<Asker> {
  const sent = new Float64Array(65_536);
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.11", port: 53 },
    socket: {
      data: (_, bytes) => {
        const now = performance.now();
        const failed = ((bytes[3] ?? 0) & 15) !== 0;
        if (!failed) times.push(now - (sent[((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)] ?? 0));
      },
    },
  });
  return { socket, sent, next: 0 };
}

function ask(asker: Asker, query: Buffer): void {
  const id = asker.next++ & 0xffff;
  query.writeUInt16BE(id, 0);
  asker.sent[id] = performance.now();
  asker.socket.send(query);
}

function question(name: string, type: number): Buffer {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  const header = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.of(0, 0, type, 0, 1)]);
}
