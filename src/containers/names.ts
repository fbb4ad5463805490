import { EngineError } from "../errors/mod.ts";
import type { ContainerTable } from "./table.ts";

const adjectives =
  "amber bold brave bright brisk calm candid clever cosy crisp daring deft eager earnest fair fervent fond frank gallant gentle glad golden graceful happy hardy hearty honest humble jolly keen kind lively loyal lucid mellow merry mighty modest neat nimble noble patient placid plucky polite proud quick quiet ready robust serene sharp silent sincere sleek smart snug sober steady stoic sunny swift tender tidy trusty upbeat vivid warm wise witty zealous".split(
    " ",
  );
const surnames =
  "archimedes babbage bell bohr boole cantor carson cerf chandrasekhar cori curie darwin dijkstra dirac einstein elion engelbart euclid euler faraday fermat fermi feynman franklin galileo gauss germain goodall hamilton hawking heisenberg hertz herschel hopper hypatia johnson kalam kepler khorana knuth kovalevskaya lamarr lamport leavitt liskov lovelace lumiere matsumoto maxwell mccarthy mcclintock meitner mendel mirzakhani morse newton nobel noether pascal pasteur payne perlman planck poincare ptolemy ramanujan ritchie roentgen rosalind sanderson shannon sinoussi stallman tesla thompson torvalds turing vaughan villani volhard wiles wilson wozniak wright yalow".split(
    " ",
  );

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Throws "invalid" for what Docker refuses; returns it without the leading slash that some clients send. */
export function checkName(name: string): string {
  const bare = name.startsWith("/") ? name.slice(1) : name;
  if (pattern.test(bare)) return bare;
  const text = `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`;
  throw new EngineError("invalid", text);
}

/** A free `adjective_surname`, with digits once the plain ones keep being taken. */
export function madeUpName(table: ContainerTable): string {
  for (let attempt = 0; ; attempt++) {
    const suffix = attempt < 5 ? "" : String(Math.floor(Math.random() * 10 ** Math.min(attempt - 4, 9)));
    const name = `${pick(adjectives)}_${pick(surnames)}${suffix}`;
    if (!table.named(name)) return name;
  }
}

function pick(words: readonly string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? "";
}
