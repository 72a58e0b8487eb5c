/** Tests of the page's modules, run inside the browser that runs the page. */

const tests = new Map();

/** Register a test; names are unique among all files. */
export function test(name, body) {
  if (tests.has(name)) throw new Error(`there are two tests called ${name}`);
  tests.set(name, body);
}

/** Run one test; what it throws is the failure. */
export async function run(name) {
  await tests.get(name)();
}

/** Fail where the two are not equal as JSON. */
export function equal(actual, expected, about = '') {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${about} expected ${should}, got ${is}`);
}

/** Fail where `body` throws no error called `name`. */
export function throws(body, name) {
  try {
    body();
  } catch (error) {
    equal(error.name, name);
    return;
  }
  throw new Error(`expected ${name}, nothing was thrown`);
}
