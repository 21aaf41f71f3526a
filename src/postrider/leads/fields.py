"""The lead object that callers write: the standard fields, and any other key as a custom field."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from postrider.kernel.operation import Input
from postrider.leads.rules import (
    MAX_LONG_CHARACTERS,
    MAX_SHORT_CHARACTERS,
    MAX_TAGS,
    MAX_URL_CHARACTERS,
    TEXT_COLUMNS,
    LeadObject,
    is_system_key,
    read_lead_object,
)

_Short = Annotated[str | None, Field(max_length=MAX_SHORT_CHARACTERS)]
_Url = Annotated[str | None, Field(max_length=MAX_URL_CHARACTERS)]


class LeadFields(Input):
    """A lead's fields. Keys that are none of these become custom fields; those that Postrider sets are refused."""

    model_config = ConfigDict(extra="allow")

    first_name: _Short = None
    last_name: _Short = None
    company_name: _Short = None
    job_title: _Short = None
    phone: _Short = None
    linkedin_url: _Url = None
    website: _Url = None
    city: _Short = None
    state: _Short = None
    country: _Short = None
    timezone: Annotated[_Short, Field(description="IANA name, such as Europe/Berlin.")] = None
    notes: Annotated[str | None, Field(max_length=MAX_LONG_CHARACTERS)] = None
    custom_fields: Annotated[
        dict[str, JsonValue], Field(description="Further values by name; templates use them as {{name}}.")
    ] = {}
    tags: Annotated[list[str] | None, Field(max_length=MAX_TAGS)] = None

    @model_validator(mode="after")
    def _refuse_system_keys(self) -> Self:
        """Reported as unknown fields, so that each door treats them as it treats those."""
        found = [name for name in self.model_extra or {} if is_system_key(name)]
        if found:
            kind = PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
            raise ValidationError.from_exception_data(
                type(self).__name__, [InitErrorDetails(type=kind, loc=(name,), input=None) for name in found]
            )
        return self

    def lead_object(self) -> LeadObject:
        """What the caller gave, null included; what was left out is not in it. Raises: InvalidInput."""
        given = {name: getattr(self, name) for name in TEXT_COLUMNS if name in self.model_fields_set}
        return read_lead_object(given | (self.model_extra or {}), self.custom_fields)
