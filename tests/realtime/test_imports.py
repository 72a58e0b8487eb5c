"""What a page asks for at once: everything that its scripts and stylesheets import."""

from __future__ import annotations

import pytest

from realtime.imports import imported_files

MODULES = {
    "page/entry.js": """
// import './comment.js';
/**
 *     import { Example } from '../example.js';
 * @typedef {import('../typed.js').Typed} Typed
 */
import { First } from '../first.js';
import {
  one, two,
} from "./lines.js";
import './effect.js';
import everything, * as named from '../shared/all.js';
import bare from 'somewhere';
export { again } from './again.js';
export * from './star.js';
export { local };
export const NAME = './name.js';
const later = () => import('./later.js');
""",
    "first.js": "import './shared/all.js';\nimport './page/entry.js';\n",
    "page/lines.js": "",
    "page/effect.js": "import './deep.js';\n",
    "page/deep.js": "",
    "shared/all.js": "",
    "page/again.js": "",
    "page/star.js": "",
    "unused.js": "",
}
IMPORTED = (
    "first.js",
    "page/lines.js",
    "page/effect.js",
    "shared/all.js",
    "page/again.js",
    "page/star.js",
    "page/deep.js",
)


def test_imports_of_a_module_are_those_of_its_imports_too() -> None:
    """Each once and nearest first, over several lines and in a circle; not in comments, by name only, or dynamic."""
    assert imported_files("page/entry.js", MODULES) == IMPORTED


def test_imports_of_a_stylesheet_are_relative_to_it() -> None:
    """Sheets with and without a layer, and those that they import; not those of another server."""
    sheets = {
        "style.css": '@import url("style/base.css") layer(base);\n@import url("//example.org/far.css");\nbody {}\n',
        "style/base.css": "@import url('reset.css');\n",
        "style/reset.css": "/* @import url('old.css'); */\n",
    }
    assert imported_files("style.css", sheets) == ("style/base.css", "style/reset.css")


@pytest.mark.parametrize("address", ["./missing.js", "../../outside.js"])
def test_import_of_what_is_not_there_is_refused(address: str) -> None:
    """A module that no browser would get is named, with the one that wants it."""
    with pytest.raises(LookupError, match=r"^page/entry\.js imports \S+, expected a file at \S+$"):
        imported_files("page/entry.js", {"page/entry.js": f"import '{address}';\n"})
