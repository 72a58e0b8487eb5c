const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * True for the id of a run or a project, in either case of letters.
 * @param {string} text
 */
export function isUuid(text) {
  return UUID.test(text);
}

/**
 * A random UUID, also on plain HTTP, where browsers keep `crypto.randomUUID` to themselves.
 * @returns {string}
 */
export function randomUuid() {
  const { crypto } = globalThis;
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
