"""What is wrong with a template, and where; and the limits a template is held to."""

from postrider.kernel.errors import InvalidInput

MAX_SOURCE_CHARACTERS = 200_000
MAX_TAG_CHARACTERS = 1_000
MAX_NAME_CHARACTERS = 100
MAX_TOKENS = 5_000
MAX_OPTIONS = 100
MAX_DEPTH = 5
MAX_CONDITIONAL_VARIABLES = 50
MAX_CASES = 50
MAX_OUTPUT_CHARACTERS = 2_000
MAX_CHARACTERS_OF_ALL_OUTPUTS = 20_000


class TemplateError(InvalidInput):
    """A template that cannot be compiled; ``offset`` counts characters from the start of the submitted text."""

    def __init__(self, message: str, *, offset: int, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, field=field, hint=hint, details={"offset": offset})
        self.offset = offset

    def within(self, field: str) -> "TemplateError":
        """The same error, saying which field its offset counts in."""
        return TemplateError(self.message, offset=self.offset, field=field, hint=self.hint)
