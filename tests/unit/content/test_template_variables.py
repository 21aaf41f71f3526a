"""Variables: names, fallbacks, where values come from, and how each form writes them."""

from datetime import date

import pytest

from postrider.content.template import (
    Chooser,
    Dialect,
    Form,
    Html,
    LeadFacts,
    Rendered,
    SenderFacts,
    Values,
    check_custom_keys,
    compile_template,
    lead_values,
    variable_key,
)
from postrider.kernel.errors import InvalidInput

CHOOSER = Chooser(b"seed", "cmp", "led", "stp", "A")
ADA = Values.of(
    {"firstName": "Ada", "companyName": "Byron & Co", "city": " ", "jobTitle": None},
    {"team size": "12", "Rôle": "chief", "blank": "\t"},
)


def render(
    source: str, values: Values = ADA, form: Form = "text", dialect: Dialect = Dialect.SENDKIT
) -> tuple[str, tuple[str, ...]]:
    rendered = compile_template(source, form=form, dialect=dialect).render(values, CHOOSER)
    return rendered.text, rendered.missing


@pytest.mark.parametrize(
    "name",
    [
        "firstName",
        "First Name",
        "first_name",
        "FIRST-NAME",
        " first  name ",
        "ｆｉｒｓｔｎａｍｅ",
        "first\nname",
        "first\u00a0name",
    ],
)
def test_every_spelling_of_a_name_is_the_same_variable(name: str) -> None:
    assert render(f"Hi {{{{{name}}}}}!") == ("Hi Ada!", ())


@pytest.mark.parametrize(
    ("source", "sendkit", "reachkit"),
    [
        ("{{firstName|there}}", "Ada", "Ada"),
        ("{{nick|there}}", "there", "there"),
        ("{{nick|}}", "", ""),
        ("{{city|your city}}", "your city", "your city"),
        ("{{jobTitle|a | b}}", "a | b", "a | b"),
        ('{{nick | "there"}}', "there", ' "there"'),
        ('{{nick|" there "}}', " there ", '" there "'),
        ('{{nick|""}}', "", '""'),
        ('{{nick|"}}', '"', '"'),
        ("{{nick|'there'}}", "'there'", "'there'"),
        ("{{nick| there }}", "there", " there "),
        (r"{{nick|back\slash}}", r"back\slash", r"back\slash"),
    ],
)
def test_a_fallback_is_used_as_text_when_the_value_is_empty(source: str, sendkit: str, reachkit: str) -> None:
    assert render(source) == (sendkit, ())
    assert render(source, dialect=Dialect.REACHKIT) == (reachkit, ())


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{nick|{x}}}", "{x}"),
        ("a {{nick|{x}}} b", "a {x} b"),
        ("{{nick|{x} y}}.", "{x} y."),
        ("{{nick|x {y {z}}}}", "x {y {z}}"),
        ("{{nick|{a|b}}}", "{a|b}"),
        ("{{nick|{x}}", "{x"),
        ("{{nick|x}}}", "x}"),
        ("{{nick|x} y}}", "x} y"),
        ("{{nick|}}}", "}"),
        ("{{{nick|{x}}}}", "{{x}}"),
        ("{{firstName|{x}}}", "Ada"),
        ("{{firstName|{x}}}{{nick|{y}}}", "Ada{y}"),
        ("{{SPINTAX|{{nick|{x}}}|{{nick|{x}}}}}", "{x}"),
        ("{{LOOM|nick|{x}}}", "{x}"),
    ],
)
def test_a_fallback_may_hold_braces_where_single_braces_mean_nothing(source: str, text: str) -> None:
    assert render(source, dialect=Dialect.REACHKIT) == (text, ())


def test_what_is_missing_is_blank_and_reported_once_as_it_was_written() -> None:
    source = "{{Nick  Name}}, {{city}} {{nick_name}} {{Nick Name}} {{blank}} {{7*7}} {{x.__class__}}"
    assert render(source) == (",      ", ("Nick Name", "city", "nick_name", "blank", "7*7", "x.__class__"))


def test_a_variable_in_a_branch_that_is_not_written_is_not_missing() -> None:
    assert render("{{#if city}}{{nick}}{{else}}ok{{/if}}") == ("ok", ())


def test_the_company_has_two_names() -> None:
    assert render("{{company}} = {{companyName}}") == ("Byron & Co = Byron & Co", ())
    assert Values.of({}, {"company": "Acme"}).get("companyName") == "Acme"


def test_a_custom_field_spelled_alike_wins_over_a_builtin_and_a_normalised_one_does_not() -> None:
    values = Values.of({"firstName": "Ada"}, {"first_name": "Augusta"})
    assert render("{{first_name}} {{firstName}} {{First Name}}", values)[0] == "Augusta Ada Ada"


def test_a_blank_custom_field_does_not_hide_a_builtin() -> None:
    assert render("{{city}}", Values.of({"city": "London"}, {"city": " "})) == ("London", ())


def test_a_custom_field_fills_in_for_a_builtin_that_is_blank() -> None:
    assert render("{{city}}", Values.of({"city": None}, {"City": "Paris"})) == ("Paris", ())


@pytest.mark.parametrize(("first", "second"), [("Team Size", "team_size"), ("company", "Company Name"), ("ß", "SS")])
def test_two_custom_fields_that_read_alike_are_refused(first: str, second: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_custom_keys(["other", first, second])
    assert refused.value.details == {"keys": [first, second]}


def test_a_custom_field_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="needs a name"):
        check_custom_keys([" _-"])


def test_custom_fields_that_differ_are_accepted_and_the_same_one_may_come_twice() -> None:
    check_custom_keys(["role", "Team Size", "role", "team sizes"])


def test_keys_fold_case_width_and_separators() -> None:
    assert variable_key("  Straße_Name-2 ") == "strassename2"


VALUE = '{a|b} {{firstName}} \\{ <b>"it\'s"</b> & {{#if x}}'


def test_a_value_is_data_and_never_read_as_a_template() -> None:
    values = Values.of({}, {"x": VALUE})
    assert render("[{{x}}]", values)[0] == f"[{VALUE}]"
    assert render("[{{x}}]", values, "subject")[0] == f"[{VALUE}]"


def test_a_value_is_escaped_in_html_only() -> None:
    escaped = "{a|b} {{firstName}} \\{ &lt;b&gt;&quot;it&#x27;s&quot;&lt;/b&gt; &amp; {{#if x}}"
    values = Values.of({}, {"x": VALUE})
    assert render("<p>{{x}}</p>", values, "html")[0] == f"<p>{escaped}</p>"
    assert render('<p title="{{x}}">', values, "html")[0] == f'<p title="{escaped}">'


def test_a_fallback_in_html_is_text_written_once() -> None:
    assert render("{{nick|R&amp;D}} {{nick|R&D}} {{nick|&lt;b&gt;}}", form="html")[0] == "R&amp;D R&amp;D &lt;b&gt;"


def test_a_subject_is_one_line() -> None:
    values = Values.of({"firstName": "Ada\r\nBcc: eve@example.com\u2028x"})
    assert render(" Hi\n {{firstName}} \n", values, "subject")[0] == "Hi Ada Bcc: eve@example.com x"


def test_a_text_keeps_its_lines() -> None:
    assert render("Hi\r\n{{firstName}}\n")[0] == "Hi\r\nAda\n"


def test_the_variables_of_a_template_are_known_without_rendering() -> None:
    template = compile_template(
        "{{First Name|x}} {{#if Team_Size}}{{a|b}}{{/if}} {{LOOM|Video}} {{company}}", form="text"
    )
    assert template.variables == {"firstname", "teamsize", "a", "video", "companyname"}


def test_templates_from_the_same_input_are_equal_and_hash_alike() -> None:
    one, two = (compile_template("Hi {{firstName}}", form="text") for _ in range(2))
    assert one == two and hash(one) == hash(two)
    assert one != compile_template("Hi {{firstName}}", form="html")
    with pytest.raises(AttributeError):
        one.source = "other"  # type: ignore[misc]


def test_rendering_leaves_the_template_as_it_was() -> None:
    template = compile_template("{{firstName}} {{nick}}", form="text")
    first = template.render(ADA, CHOOSER)
    assert template.render(Values.of({}), CHOOSER) == Rendered(" ", ("firstName", "nick"))
    assert template.render(ADA, CHOOSER) == first == Rendered("Ada ", ("nick",))


def test_the_builtins_of_a_lead_and_its_sender() -> None:
    values = lead_values(
        LeadFacts(
            email="ada@example.com",
            first_name=" Ada ",
            last_name="Byron",
            company_name="Acme",
            job_title="CTO",
            phone="+44 1",
            linkedin_url="https://linkedin.com/in/ada",
            city="London",
            state="England",
            country="GB",
            website="https://acme.example",
        ),
        SenderFacts(email="sam@example.org", name="Sam van Reed", signature="Sam"),
        custom={"role": "lead"},
        unsubscribe_url="https://u.example/1",
        today=date(2025, 3, 7),
    )
    assert values.common == {
        "email": "ada@example.com",
        "firstname": " Ada ",
        "lastname": "Byron",
        "fullname": "Ada Byron",
        "contact": "Ada Byron",
        "companyname": "Acme",
        "jobtitle": "CTO",
        "phone": "+44 1",
        "linkedinurl": "https://linkedin.com/in/ada",
        "city": "London",
        "state": "England",
        "country": "GB",
        "website": "https://acme.example",
        "unsubscribeurl": "https://u.example/1",
        "senderemail": "sam@example.org",
        "sendername": "Sam van Reed",
        "senderfirstname": "Sam",
        "senderlastname": "van Reed",
        "signature": "Sam",
        "today": "7 March 2025",
        "weekday": "Friday",
        "role": "lead",
    }


def test_a_lead_without_a_name_is_addressed_by_email_and_without_a_date_there_is_no_today() -> None:
    values = lead_values(LeadFacts(email="ada@example.com", last_name=" "))
    assert (values.get("contact"), values.get("fullName"), values.get("today")) == ("ada@example.com", None, None)


def test_a_senders_own_first_and_last_name_win_over_the_split_name() -> None:
    values = lead_values(
        LeadFacts(email="a@example.com"), SenderFacts(email="s@example.org", first_name="Jean Luc", last_name="Picard")
    )
    assert values.get("sender_name") == "Jean Luc Picard"
    assert values.get("sender_first_name") == "Jean Luc"


def test_a_signature_with_markup_is_html_in_the_body_and_text_anywhere_else() -> None:
    values = Values.of({"signature": Html("<b>Sam</b> &amp; Co", "Sam & Co")})
    assert render("{{signature}}", values, "html")[0] == "<b>Sam</b> &amp; Co"
    assert render('<p title="{{signature}}">', values, "html")[0] == '<p title="Sam &amp; Co">'
    assert render("{{signature}}", values, "text")[0] == "Sam & Co"


@pytest.mark.parametrize(
    "name",
    [
        *("unsubscribe_url", "Unsubscribe URL", "unsubscribeUrl", "ｕnsubscribe-url"),
        *("senderEmail", "sender_name", "Sender First Name", "senderLastName", "signature", "Signature"),
        *("email", "E-Mail", "today", "Weekday"),
    ],
)
def test_a_custom_field_never_stands_for_a_reserved_name(name: str) -> None:
    builtins: dict[str, str | Html | None] = {"unsubscribe_url": "mine", "signature": Html("<b>mine</b>", "mine")}
    builtins |= dict.fromkeys(
        ("senderEmail", "senderName", "senderFirstName", "senderLastName", "email", "today", "weekday"), "mine"
    )
    assert render(f"{{{{{name}}}}}", Values.of(builtins, {name: "evil"})) == ("mine", ())
    assert render(f"{{{{{name}}}}}", Values.of({}, {name: "evil"})) == ("", (name,))
    assert render(f"{{{{#if {name} has_value}}}}yes{{{{/if}}}}", Values.of({}, {name: "evil"}))[0] == ""


def test_a_name_that_only_begins_like_a_reserved_one_is_the_leads() -> None:
    assert render("{{senderTitle}} {{email2}}", Values.of({}, {"senderTitle": "a", "email2": "b"})) == ("a b", ())
