"""Model cards, whose names of data, classes and metrics can be a stranger's."""

import hypothesis
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.fuzz.hostile import MARKUP, examples
from tf_diffaug.runs.export import card

_ACTIVE = ("html", "link", "image", "code", "fence", "heading", "hr")
_PIECES = (
    "<script>",
    "](javascript:1)",
    "![x](y)",
    "`",
    "***",
    "\n\n# a",
    "\n---\n",
    "&lt;",
    "|",
    "\\",
    "~~~",
)


@examples(150)
@hypothesis.given(
    text=st.lists(st.sampled_from((*_PIECES, *MARKUP)) | st.text(max_size=4), max_size=5).map(
        "".join
    )
)
def test_names_are_text_and_nothing_else(text):
    shown = card._plain(text)
    markdown = MarkdownIt("commonmark").enable("table")
    for line in (f"Trained on {shown}.", f"- **Data**: {shown}", f"| a |\n|---|\n| {shown} |"):
        tokens = markdown.parse(line)
        kinds = {inner.type for token in tokens for inner in (token, *(token.children or ()))}
        assert not [kind for kind in kinds if kind.startswith(_ACTIVE)], (line, kinds)
