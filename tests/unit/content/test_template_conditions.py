"""Conditions in three spellings: blocks, capital words, and conditional variables."""

import pytest

from postrider.content.template import (
    Chooser,
    Condition,
    ConditionalVariable,
    Dialect,
    Operator,
    TemplateError,
    Values,
    compile_template,
)

CHOOSER = Chooser(b"seed", "cmp", "led", "stp", "A")
LEAD = Values.of({"companyName": "Acme", "city": "  "}, {"industry": " SaaS Tools ", "size": "40"})


def render(source: str, *conditional: ConditionalVariable, html: bool = False, values: Values = LEAD) -> str:
    template = compile_template(source, form="html" if html else "text", conditional=conditional)
    return template.render(values, CHOOSER).text


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("company", True),
        ("Company Name", True),
        ("city", False),
        ("nothing", False),
        ("company has_value", True),
        ("city has_value", False),
        ("city no_value", True),
        ("company no_value", False),
        ('industry equals "saas tools"', True),
        ("industry equals 'SAAS TOOLS '", True),
        ("industry equals saas tools", True),
        ('industry equals "saas"', False),
        ('nothing equals ""', False),
        ('industry not_equals "saas"', True),
        ('industry not_equals "saas tools"', False),
        ('nothing not_equals "x"', True),
        ('industry contains "SAAS"', True),
        ('industry contains "soft"', False),
        ('nothing contains "x"', False),
        ('nothing contains ""', False),
        ('industry not_contains "soft"', True),
        ('industry not_contains "tool"', False),
        ('nothing not_contains "x"', True),
        ("size EQUALS 40", True),
        ('industry contains "a|b"', False),
        ("equals has_value", False),
    ],
)
def test_a_comparison_means_the_same_in_every_spelling(expression: str, holds: bool) -> None:
    expected = "yes" if holds else "no"
    assert render(f"{{{{#if {expression}}}}}yes{{{{else}}}}no{{{{/if}}}}") == expected
    assert render(f"{{{{IF {expression}}}}}yes{{{{ELSE}}}}no{{{{ENDIF}}}}") == expected
    assert render(f"{{{{#if {expression}}}}}yes{{{{/if}}}}") == ("yes" if holds else "")


@pytest.mark.parametrize(
    ("operator", "field", "value", "holds"),
    [
        (Operator.HAS_VALUE, "company", None, True),
        (Operator.NO_VALUE, "city", None, True),
        (Operator.EQUALS, "Industry", "saas TOOLS", True),
        (Operator.NOT_EQUALS, "industry", "saas", True),
        (Operator.CONTAINS, "industry", " tool ", True),
        (Operator.NOT_CONTAINS, "nothing", "x", True),
        (Operator.EQUALS, "nothing", "", False),
    ],
)
def test_a_conditional_variable_compares_as_a_block_does(
    operator: Operator, field: str, value: str | None, holds: bool
) -> None:
    variable = ConditionalVariable("line", (Condition(field, operator, "yes", value),), "no")
    assert render("{{cond:line}}", variable) == ("yes" if holds else "no")


PITCH = ConditionalVariable(
    "Pitch Line",
    (
        Condition("industry", Operator.CONTAINS, "for {{company}} & {a|a}", "saas"),
        Condition("size", Operator.HAS_VALUE, "by size"),
        Condition("nick", Operator.HAS_VALUE, "{{nick}}"),
    ),
    "for you",
)


def test_the_first_condition_that_holds_gives_the_output_else_the_default() -> None:
    assert render("[{{cond:pitch_line}}]", PITCH) == "[for Acme & a]"
    assert render("[{{cond:Pitch Line}}]", PITCH, values=Values.of({}, {"size": "1"})) == "[by size]"
    assert render("[{{ cond:pitchLine }}]", PITCH, values=Values.of({})) == "[for you]"


def test_an_output_is_text_and_so_is_escaped_in_html() -> None:
    variable = ConditionalVariable("x", (), "<b>{{company}}</b> & co")
    assert render('<p title="{{cond:x}}">{{cond:x}}</p>', variable, html=True) == (
        '<p title="&lt;b&gt;Acme&lt;/b&gt; &amp; co">&lt;b&gt;Acme&lt;/b&gt; &amp; co</p>'
    )


def test_the_fields_and_variables_of_a_definition_are_variables_of_the_template() -> None:
    template = compile_template("{{cond:pitchline}}", form="text", conditional=[PITCH])
    assert template.variables == {"industry", "companyname", "size", "nick"}


def test_a_new_definition_leaves_the_choices_of_the_template_alone() -> None:
    source = "{0|1|2|3|4|5|6|7}{0|1|2|3|4|5|6|7}"
    assert render(source) == render(source, ConditionalVariable("x", (), "{a|b}"))


def test_conditions_nest_with_spintax_and_variables() -> None:
    source = "{{#if company}}{{IF city}}city{{else}}{no {{city|place}}|no {{city|place}}}{{endif}}{{/if}}"
    assert render(source) == "no place"


def test_five_levels_of_conditions_are_enough() -> None:
    assert render("{{#if company}}" * 5 + "x" + "{{/if}}" * 5) == "x"
    with pytest.raises(TemplateError) as refused:
        render("{{#if company}}" * 6 + "x" + "{{/if}}" * 6)
    assert refused.value.offset == len("{{#if company}}") * 5


def test_a_comparison_may_be_written_with_html_entities_in_html() -> None:
    assert render("{{#if industry&nbsp;equals &quot;SaaS Tools&quot;}}yes{{/if}}", html=True) == "yes"


def test_conditions_may_surround_attributes() -> None:
    source = '<p {{#if company}}class="a"{{/if}}>{{#if city}}<a href="{{x}}">{{else}}<b>{{/if}}'
    assert render(source, html=True) == '<p class="a"><b>'


@pytest.mark.parametrize(
    ("variables", "field", "offset"),
    [
        ([ConditionalVariable("x", (), "ok {{")], "conditionalVariables[0].defaultValue", 3),
        (
            [PITCH, ConditionalVariable("y", (Condition("a", Operator.HAS_VALUE, "{{#if a}}"),))],
            "conditionalVariables[1].conditions[0].output",
            0,
        ),
        (
            [PITCH, ConditionalVariable("y", (), "ab {{cond:pitch line}}")],
            "conditionalVariables[1].defaultValue",
            3,
        ),
        ([PITCH, ConditionalVariable("pitch-line", ())], "conditionalVariables[1].name", 0),
        ([ConditionalVariable(" ", ())], "conditionalVariables[0].name", 0),
        (
            [ConditionalVariable("x", (Condition(" ", Operator.HAS_VALUE, ""),))],
            "conditionalVariables[0].conditions[0].field",
            0,
        ),
        (
            [ConditionalVariable("x", (Condition("a", Operator.EQUALS, ""),))],
            "conditionalVariables[0].conditions[0].value",
            0,
        ),
        (
            [ConditionalVariable("x", (Condition("a", Operator.NO_VALUE, ""),) * 51)],
            "conditionalVariables[0].conditions",
            0,
        ),
        ([ConditionalVariable("x", (), "a" * 2_001)], "conditionalVariables[0].defaultValue", 0),
        ([ConditionalVariable(f"x{n}", (), "a" * 2_000) for n in range(11)], "conditionalVariables", 0),
        ([ConditionalVariable(f"x{n}", ()) for n in range(51)], "conditionalVariables", 0),
    ],
)
def test_a_wrong_definition_is_refused_by_field_and_offset(
    variables: list[ConditionalVariable], field: str, offset: int
) -> None:
    with pytest.raises(TemplateError) as refused:
        compile_template("Hi", form="text", dialect=Dialect.SENDKIT, conditional=variables)
    assert refused.value.details == {"offset": offset, "field": field}
