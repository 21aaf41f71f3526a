"""A template, checked and compiled once, rendered for every lead."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from postrider.content.template.chooser import Chooser
from postrider.content.template.conditions import ConditionalVariable
from postrider.content.template.tokens import Dialect, Form
from postrider.content.template.tree import parse_template
from postrider.content.template.variables import Values
from postrider.content.template.writers import Scene, Writer, write_body


@dataclass(frozen=True, slots=True)
class Rendered:
    """The finished text, and the variables that had neither value nor fallback, as written, once each.

    ``bad_links``: the variables that would have made a link of a kind that no mail may have (javascript: and the like).
    """

    text: str
    missing: tuple[str, ...]
    bad_links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template. It never changes, and equals every template compiled from the same input."""

    source: str
    form: Form
    dialect: Dialect
    conditional: tuple[ConditionalVariable, ...]
    variables: frozenset[str] = field(compare=False)
    """The keys of all variables it may need, those it only compares included."""
    _write: Writer = field(compare=False, repr=False)

    def render(self, values: Values, chooser: Chooser) -> Rendered:
        """The text for one lead. What is missing, or a bad link, is left blank: the caller decides what to do."""
        missing: list[str] = []
        bad_links: list[str] = []
        text = self._write(Scene(values.exact, values.common, values.markup, chooser.pick, missing, bad_links))
        if self.form == "subject":
            text = _on_one_line(text)
        return Rendered(text, tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(bad_links)))


def compile_template(
    source: str,
    *,
    form: Form,
    dialect: Dialect = Dialect.SENDKIT,
    conditional: Sequence[ConditionalVariable] = (),
) -> Template:
    """The template ready to render.

    Raises: TemplateError with the character offset of the brace or tag that is wrong.
    """
    tree = parse_template(source, form, dialect, conditional)
    return Template(source, form, dialect, tuple(conditional), tree.keys, write_body(tree.body, html=form == "html"))


def _on_one_line(text: str) -> str:
    return " ".join(filter(None, map(str.strip, text.splitlines())))
