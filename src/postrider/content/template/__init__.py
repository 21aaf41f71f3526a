"""The template language: what a campaign's subjects and bodies are written in.

Source → tokens (tokens.py) → tags (tags.py) → tree (tree.py) → writers (writers.py). The order of work in a render is
conditions, then spintax, then variables; a value is escaped and inserted last, and never read as a template.
"""

from postrider.content.template.chooser import Chooser
from postrider.content.template.compiled import Rendered, Template, compile_template
from postrider.content.template.conditions import Condition, ConditionalVariable, Operator
from postrider.content.template.errors import TemplateError
from postrider.content.template.tokens import Dialect, Form
from postrider.content.template.variables import (
    Html,
    LeadFacts,
    SenderFacts,
    Values,
    check_custom_keys,
    is_reserved,
    lead_values,
    variable_key,
)

__all__ = [
    "Chooser",
    "Condition",
    "ConditionalVariable",
    "Dialect",
    "Form",
    "Html",
    "LeadFacts",
    "Operator",
    "Rendered",
    "SenderFacts",
    "Template",
    "TemplateError",
    "Values",
    "check_custom_keys",
    "compile_template",
    "is_reserved",
    "lead_values",
    "variable_key",
]
