import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How long `ps` takes, asked for 20 times a second, while a 1 GB image is being loaded. */
export async function responsiveness(host: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "bench-load-"));
  try {
    const archive = await makeArchive(directory);
    const unix = host.replace("unix://", "");
    const times: number[] = [];
    let loading = true;
    const body = Bun.file(archive);
    const load = fetch("http://berth/images/load?quiet=1", { method: "POST", body, unix }).then((answer) =>
      answer.text(),
    );
    const started = performance.now();
    load.finally(() => {
      loading = false;
    });
    while (loading) {
      const start = performance.now();
      await fetch("http://berth/containers/json?all=1", { unix }).then((answer) => answer.text());
      times.push(performance.now() - start);
      await Bun.sleep(Math.max(0, 50 - (performance.now() - start)));
    }
    const answer = await load;
    if (!answer.includes("Loaded image")) throw new Error(`load failed: ${answer.slice(-300)}`);
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) =>
      (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    return `ps during load     ${times.length} calls in ${seconds} s   median ${at(0.5)} ms   p99 ${at(0.99)} ms   worst ${at(1)} ms`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A docker-archive with four layers of 256 MB, half of it files that do not compress. */
async function makeArchive(directory: string): Promise<string> {
  const script = `
import hashlib, io, json, os, sys, tarfile
out = tarfile.open(sys.argv[1], "w")
def add(name, data):
    info = tarfile.TarInfo(name); info.size = len(data); out.addfile(info, io.BytesIO(data))
noise = os.urandom(1 << 20)
diffs, names = [], []
for layer in range(4):
    buffer = io.BytesIO(); tar = tarfile.open(fileobj=buffer, mode="w")
    for n in range(2000):
        data = (noise[n:] + noise)[: 128 << 10] + bytes([layer])
        info = tarfile.TarInfo(f"l{layer}/d{n % 100}/f{n}"); info.size = len(data); tar.addfile(info, io.BytesIO(data))
    tar.close(); blob = buffer.getvalue()
    diffs.append("sha256:" + hashlib.sha256(blob).hexdigest()); names.append(f"l{layer}.tar"); add(names[-1], blob)
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diffs}}).encode()
add("config.json", config)
add("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["bench/load:1"], "Layers": names}]).encode())
out.close()
`;
  const path = join(directory, "image.tar");
  const child = Bun.spawn(["python3", "-c", script, path], { stdio: ["ignore", "inherit", "inherit"] });
  if ((await child.exited) !== 0) throw new Error("the archive could not be made");
  return path;
}
