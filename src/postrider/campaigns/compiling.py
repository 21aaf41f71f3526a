"""The texts of a step compiled: on every write, to refuse what cannot be sent, and once per revision to send. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postrider.campaigns.bodies import html_of
from postrider.campaigns.documents import StepInput, VariantInput
from postrider.content.headers import check_name
from postrider.content.html import html_to_text
from postrider.content.template import (
    Chooser,
    Condition,
    ConditionalVariable,
    Operator,
    Template,
    TemplateError,
    Values,
    compile_template,
)
from postrider.content.template.tree import Body, Choice, Link, Loom, Node, Switch, Tree, Variable, parse_template


@dataclass(frozen=True, slots=True)
class CompiledVariant:
    """One variant ready to render. ``subject_source`` tells an empty subject (same thread) from a written one.

    ``text``: the plain-text part as a template of its own, made from the HTML once, for leads of whom every value is
    known; None where only the finished HTML can tell (then the text is made from that, message by message).
    """

    label: str
    enabled: bool
    subject_source: str
    subject: Template
    html: Template
    text: Template | None

    def needed_variables(self) -> dict[str, str]:
        """The variables that stand somewhere without a fallback: key to name as first written."""
        return _needed(self.html) | _needed(self.subject)

    def makes_links(self) -> bool:
        """Whether values become part of a link's target, so that one may make a link that no mail may have."""
        return any(isinstance(node, Link) for node in _nodes(_parsed(self.html).body))


def compile_variant(step: StepInput, variant: VariantInput, place: str) -> CompiledVariant:
    """One variant of ``step`` compiled. Raises: TemplateError whose field starts with ``place``."""
    subject, html = _compiled(step, variant, place)
    text = _text_template(html, html.conditional)
    return CompiledVariant(variant.label, variant.enabled, variant.subject.strip(), subject, html, text)


def _compiled(step: StepInput, variant: VariantInput, place: str) -> tuple[Template, Template]:
    conditional = _conditional(step)
    try:
        subject = compile_template(variant.subject, form="subject", conditional=conditional)
    except TemplateError as error:
        raise error.within(f"{place}.{error.field or 'subject'}") from None
    try:
        # Checked as written first, so that an offset in an error is one in the submitted text.
        compile_template(variant.body, form="html", conditional=conditional)
        html = compile_template(html_of(variant.body), form="html", conditional=conditional)
    except TemplateError as error:
        raise error.within(f"{place}.{error.field or 'body'}") from None
    return subject, html


def _text_template(html: Template, conditional: tuple[ConditionalVariable, ...]) -> Template | None:
    """The text part of ``html`` as a template, if it reads the same as text made from the finished HTML."""
    try:
        text = compile_template(html_to_text(html.source), form="text", conditional=conditional)
    except TemplateError:
        return None
    filled = Values.of({name: f"Word{place}" for place, name in enumerate(sorted(html.variables))})
    for lead in ("one", "two", "three", "four"):
        chooser = Chooser(b"probe", "campaign", lead, "step", "A")
        if html_to_text(html.render(filled, chooser).text) != text.render(filled, chooser).text:
            return None
    return text


def check_texts(steps: Sequence[StepInput], field: str) -> None:
    """Accepts steps, as submitted, whose texts can be sent.

    Raises: TemplateError with the text's path and the offset in it; InvalidInput for a subject that is
    not one line of visible characters.
    """
    for index, step in enumerate(steps):
        if step.type != "email":
            continue
        place = f"{field}[{index}]"
        _check_definitions(step, place)
        own = VariantInput(label="A", subject=step.subject or "", body=step.body or "")
        _check_variant(step, own, place)
        for position, variant in enumerate(step.variants or ()):
            _check_variant(step, variant, f"{place}.variants[{position}]")


def _check_variant(step: StepInput, variant: VariantInput, place: str) -> None:
    check_name(variant.subject, f"{place}.subject")
    _compiled(step, variant, place)


def _check_definitions(step: StepInput, place: str) -> None:
    """Conditional variables belong to the step: an error in one names its own path, and not that of a text using it."""
    try:
        compile_template("", form="html", conditional=_definitions(step))
    except TemplateError as error:
        raise error.within(f"{place}.{error.field or 'conditionalVariables'}") from None


def _conditional(step: StepInput) -> tuple[ConditionalVariable, ...]:
    return _definitions(step) if step.use_conditional_variables else ()


def _definitions(step: StepInput) -> tuple[ConditionalVariable, ...]:
    return tuple(
        ConditionalVariable(
            definition.name,
            tuple(
                Condition(condition.field, Operator(condition.operator), condition.output, condition.value)
                for condition in definition.conditions
            ),
            definition.default_value,
        )
        for definition in step.conditional_variables
    )


def _needed(template: Template) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in _nodes(_parsed(template).body):
        if isinstance(node, Variable | Loom) and node.fallback is None:
            found.setdefault(node.key, node.name)
    return found


def _parsed(template: Template) -> Tree:
    return parse_template(template.source, template.form, template.dialect, template.conditional)


def _nodes(body: Body) -> Iterator[Node]:
    """Every node, those inside of others included, in the order of the text."""
    for node in body:
        yield node
        match node:
            case Choice():
                for option in node.options:
                    yield from _nodes(option)
            case Switch():
                for _, case in node.cases:
                    yield from _nodes(case)
                yield from _nodes(node.default)
            case Link():
                yield from _nodes(node.body)
            case _:
                pass
