/** @type {Map<string, CSSStyleSheet>} */
const sheets = new Map();

/**
 * The stylesheet for shadow roots at that address, fetched once however many elements adopt it. Until it is here what it
 * styles is not seen, rather than seen unstyled; if it cannot be had, everything is legible without it.
 * @param {URL} url
 * @returns {CSSStyleSheet}
 */
export function fetchedSheet(url) {
  const sheet = sheets.get(url.href) ?? newSheet(url);
  sheets.set(url.href, sheet);
  return sheet;
}

/** @param {URL} url */
function newSheet(url) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(':host { visibility: hidden; }');
  fetchText(url).then(
    (text) => sheet.replaceSync(text),
    (error) => {
      sheet.replaceSync('');
      console.warn(`No style for elements: ${error.message}`);
    },
  );
  return sheet;
}

/** @param {URL} url */
async function fetchText(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}, expected 200`);
  return answer.text();
}
