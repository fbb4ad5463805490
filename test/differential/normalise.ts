/** What no two runs have in common gets a made-up value, so that answers of two engines, and of two days, compare. */
export function normalise(
  text: string,
  { root, workdir }: { readonly root: string; readonly workdir: string },
): string {
  const paths = text.replaceAll(workdir, "<cwd>").replaceAll(root, "<root>");
  return rules.reduce((before, [pattern, made]) => before.replace(pattern, made), paths);
}

const time = String.raw`(?!0001-)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?`;
const count = String.raw`(?:\d+|[Aa]n?|Less than a|About an?)`;
const unit = "(?:second|minute|hour|day|week|month|year)s?";
const size = String.raw`\d+(?:\.\d+)?(?:e\+\d+)?\s?(?:[kMGT]i?)?B\b`;

const rules: readonly (readonly [RegExp, string])[] = [
  // Which of two failures the CLI 20.10 sees first is chance.
  [/^time=.*level=error msg="error waiting for container: context canceled"\n/gm, ""],
  // How far the CLI has got when the daemon refuses an archive is chance, too.
  [/^time=.*level=error msg="Can't (?:add file|close tar writer).*\n/gm, ""],
  [/(\.docker_temp_)\d+/g, "$1<n>"],
  [/\b[0-9a-f]{64}\b/g, "<id>"],
  [/\b(?=[a-f]*[0-9])[0-9a-f]{12}\b/g, "<short>"],
  [new RegExp(String.raw`${time}(?:Z|[+-]\d\d:\d\d| [+-]\d{4} [A-Z]+)`, "g"), "<time>"],
  [new RegExp(String.raw`\b${count} ${unit}(?: ago)?`, "g"), "<ago>"],
  [/\b02:42(?::[0-9a-f]{2}){4}\b|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, "<mac>"],
  [/\b(?:172\.(?:1[6-9]|2\d|3[01])|192\.168|10\.\d+)\.\d+\.\d+\b/g, "<ip>"],
  [/(0\.0\.0\.0|127\.0\.0\.1|\[?::\]?):\d{4,5}\b/g, "$1:<port>"],
  [/(HostPort"?: ?)"\d{5}"/g, '$1"<port>"'],
  [/(Pid"?: )[1-9]\d*/g, "$1<pid>"],
  [/(CgroupnsMode"?: )"(?:host|private)"/g, '$1"<cgroupns>"'],
  [/(OomKillDisable"?: )(?:true|false|null|boolean)/g, "$1<oom>"],
  [/(SizeRw"?: |SizeRootFs"?: )\d+/g, "$1<bytes>"],
  [/((?:Lower|Merged|Upper|Work)Dir"?: )"[^"]*"/g, '$1"<path>"'],
  [/(SandboxKey"?: )"\/[^"]*"/g, '$1"<path>"'],
  [new RegExp(String.raw`\b${size}(?: \(virtual ${size}\))?`, "g"), "<size>"],
  [/\b\d+\.\d+%/g, "<percent>"],
  [/(IPPrefixLen"?: ?|<ip>\/)\d+/g, "$1<bits>"],
  // Columns are as wide as what was in them.
  [/(\S) {2,}/g, "$1   "],
];
