/** What the page asks of the REST API beside runs, with the session's cookie. */
import { BROWSER } from '../client/environment.js';
import { Requests } from '../client/requests.js';

export const api = new Requests({ url: '', token: undefined, env: BROWSER }, () => {});
