/**
 * What the server answers, told apart from what something in its place does: a proxy that has no server behind it just
 * now, or the portal of a hotel's network, which answer with any status.
 */
const CODE = /^[A-Z_]+$/;

/** @param {Response} answer @param {string} type such as `text/html` */
export function isOfType({ headers }, type) {
  return headers.get('Content-Type')?.split(';')[0].trim().toLowerCase() === type;
}

/**
 * The refusal that the body of an answer is.
 * @param {any} body its JSON
 * @returns {?{code: string, message: string}} null: the server does not refuse like that
 */
export function refusalIn(body) {
  const { error: code, message } = body ?? {};
  return typeof code === 'string' && CODE.test(code) && typeof message === 'string' ? { code, message } : null;
}
