/** What the suites of numeric tests take from vitest, for a page: tests are collected here and run by name. */
import { chai, getState, JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } from "@vitest/expect";

type Body = () => unknown;

const tests = new Map<string, Body>();
const suites: string[] = [];
/** What is to be done before the tests of a suite. */
const preparations = new Map<string, Body>();

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

function assertion(value: unknown, message?: string): ReturnType<typeof chai.expect> {
  return chai.expect(value, message);
}

export const expect = Object.assign(assertion, { getState: () => getState(assertion as never), setState: (state: object) => setState(state, assertion as never) });

/** Done before every test rather than once: what the suites prepare may be done again. */
export function beforeAll(body: Body): void {
  preparations.set(suites.join(" > "), body);
}

export function describe(name: string, define: () => void): void {
  suites.push(name);
  define();
  suites.pop();
}

function add(name: string, body: Body): void {
  tests.set([...suites, name].join(" > "), body);
}

function each(rows: readonly unknown[]): (name: string, body: (...row: unknown[]) => unknown) => void {
  return (name, body) => {
    for (const row of rows) {
      const values = Array.isArray(row) ? (row as unknown[]) : [row];
      let next = 0;
      add(name.replace(/%s/g, () => String(values[next++])), () => body(...values));
    }
  };
}

export const it = Object.assign(add, { each });

/** Names of all tests, in order. */
export const testNames = (): string[] => [...tests.keys()];

export async function runTest(name: string): Promise<void> {
  expect.setState({ currentTestName: name });
  for (const [suite, prepare] of preparations) if (name.startsWith(suite)) await prepare();
  await tests.get(name)!();
}
