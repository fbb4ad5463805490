import { createHash } from "node:crypto";

/** Licences that images are full of, by the names of the SPDX licence list; others become references with their own words. */
const spdxIds = [
  ...[
    "0BSD",
    "AFL-2.1",
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0-Perl",
  ],
  ...[
    "Artistic-2.0",
    "BlueOak-1.0.0",
    "Beerware",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-2-Clause-Patent",
    "BSD-3-Clause",
  ],
  ...["BSD-4-Clause", "BSD-4-Clause-UC", "BSL-1.0", "bzip2-1.0.6", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0"],
  ...["CDDL-1.0", "curl", "EPL-1.0", "EPL-2.0", "EUPL-1.2", "FSFAP", "FSFUL", "FSFULLR", "FTL", "GFDL-1.1-only"],
  ...["GFDL-1.2-only", "GFDL-1.2-or-later", "GFDL-1.3-only", "GFDL-1.3-or-later", "GPL-1.0-only", "GPL-1.0-or-later"],
  ...["GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "HPND", "ICU", "IJG", "ISC", "JSON"],
  ...["LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later"],
  ...["Libpng", "libtiff", "MIT", "MIT-0", "MPL-1.1", "MPL-2.0", "MS-PL", "NCSA", "NTP", "OFL-1.1", "OLDAP-2.8"],
  ...[
    "OpenSSL",
    "PHP-3.01",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "Ruby",
    "Sleepycat",
    "SSH-OpenSSH",
    "TCL",
    "Unicode-3.0",
  ],
  ...["Unicode-DFS-2016", "Unlicense", "Vim", "W3C", "WTFPL", "X11", "Zlib", "zlib-acknowledgement", "ZPL-2.1"],
];

/** Exceptions of the SPDX list, which follow WITH. */
const exceptions = [
  "Autoconf-exception-3.0",
  "Classpath-exception-2.0",
  "GCC-exception-3.1",
  "LLVM-exception",
  "OpenSSL-exception",
];

/** Debian's short names (DEP-5, "License specification"), and those of before SPDX had -only and -or-later. */
const aliases: Readonly<Record<string, string>> = {
  "apache-2": "Apache-2.0",
  artistic: "Artistic-1.0-Perl",
  "artistic-2": "Artistic-2.0",
  "boost-1.0": "BSL-1.0",
  "bsd-2": "BSD-2-Clause",
  "bsd-3": "BSD-3-Clause",
  cc0: "CC0-1.0",
  "artistic-1": "Artistic-1.0-Perl",
  expat: "MIT",
  psf: "PSF-2.0",
  ...gnu("GPL", ["1", "2", "3"]),
  ...gnu("LGPL", ["2", "2.1", "3"]),
  ...gnu("AGPL", ["3"]),
  ...gnu("GFDL", ["1.2", "1.3"]),
};

function gnu(name: string, versions: readonly string[]): Record<string, string> {
  const pairs = versions.flatMap((version) => {
    const full = version.includes(".") ? version : `${version}.0`;
    const lower = name.toLowerCase();
    return [...new Set([version, full])].flatMap((one) => [
      [`${lower}-${one}`, `${name}-${full}-only`],
      [`${lower}-${one}+`, `${name}-${full}-or-later`],
    ]);
  });
  return Object.fromEntries(pairs);
}

const known = new Map([...spdxIds.map((id) => [id.toLowerCase(), id] as const), ...Object.entries(aliases)]);
const knownExceptions = new Map(exceptions.map((id) => [id.toLowerCase(), id]));

/** Licences that the SPDX list does not have, by the ids that a document gives them, with what the package says. */
export type ExtractedLicenses = Map<string, string>;

/** One expression for all licences of a package; "NOASSERTION" when it names none (SPDX 2.3, annex D). What is none of the list is added to `extracted`. */
export function licenseExpression(licenses: readonly string[], extracted: ExtractedLicenses): string {
  const each = licenses.flatMap((text) => {
    const expression = expressionOf(text, extracted) ?? reference(text, extracted);
    return /\(| OR /.test(expression) ? [expression] : expression.split(" AND ");
  });
  const all = [...new Set(each)];
  const [only] = all;
  if (only === undefined) return "NOASSERTION";
  return all.length === 1 ? only : all.map((one) => (one.includes(" OR ") ? `(${one})` : one)).join(" AND ");
}

/** The text as an expression, in which what is none of the list is a reference; undefined when it is no expression. */
function expressionOf(text: string, extracted: ExtractedLicenses): string | undefined {
  const words: Word[] = [];
  let depth = 0;
  let expects: Expected = "id";
  for (const token of text.match(/[()]|[^\s()]+/g) ?? []) {
    if (token === "(" && expects === "id") depth++;
    else if (token === ")" && expects === "operator" && depth > 0) depth--;
    else {
      const found = step(expects, token);
      if (!found) return undefined;
      words.push(found);
      expects = found.next;
      continue;
    }
    words.push({ word: token });
  }
  if (depth !== 0 || expects !== "operator") return undefined;
  const written = words.map(({ word, own }) => (own ? reference(word, extracted) : word));
  return written.join(" ").replace(/\( /g, "(").replace(/ \)/g, ")");
}

type Expected = "id" | "operator" | "exception";

interface Word {
  readonly word: string;
  /** It is none of the list. */
  readonly own?: boolean;
}

function step(expects: Expected, token: string): (Word & { readonly next: Expected }) | undefined {
  const lower = token.toLowerCase();
  const isOperator = ["and", "or", "with"].includes(lower);
  switch (expects) {
    case "operator":
      return isOperator ? { word: token.toUpperCase(), next: lower === "with" ? "exception" : "id" } : undefined;
    case "exception": {
      const word = knownExceptions.get(lower);
      return word === undefined ? undefined : { word, next: "operator" };
    }
    case "id": {
      const word = known.get(lower);
      if (word !== undefined) return { word, next: "operator" };
      return isOperator || !/^[a-z0-9][\w.+~-]*$/i.test(token)
        ? undefined
        : { word: token, own: true, next: "operator" };
    }
    default:
      return expects satisfies never;
  }
}

function reference(text: string, extracted: ExtractedLicenses): string {
  const plain = text.trim().replace(/\s+/g, "-");
  const safe = plain.replace(/[^A-Za-z0-9.-]+/g, "-").slice(0, 80);
  const mark = safe === plain ? "" : `-${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
  const id = `LicenseRef-${safe}${mark}`;
  extracted.set(id, text);
  return id;
}
