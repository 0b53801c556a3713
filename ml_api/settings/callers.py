"""The settings that say who may ask the service, and through what."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ml_api.reverse_proxies import root_path_of
from ml_api.settings import values

AllowedHosts = Annotated[
    str,
    AfterValidator(values.hosts),
    Field(
        description="`Host` names that requests may use beyond `localhost` and `ML_API_HOST`, separated by commas; "
        "`.example.org` for all names below it, `*` for any. Requests under other names are answered 421."
    ),
]
CorsOrigins = Annotated[
    str,
    AfterValidator(values.cors_origins),
    Field(
        description="Origins of other web sites whose pages may use the API, such as `https://shop.example.org`, separated by "
        "commas; empty for none."
    ),
]
Auth = Annotated[
    Literal["auto", "on", "off"],
    Field(
        description="Whether requests need an API key (`keys create`). `auto`: unless the address is one that only this "
        "machine reaches. `off` permits everything to every client."
    ),
]
PublishedHost = Annotated[
    str,
    Field(
        description="Address on which a container, which listens on `0.0.0.0`, is published: `ML_API_AUTH=auto` goes by it in "
        "place of `ML_API_HOST`."
    ),
]
RootPath = Annotated[
    str,
    AfterValidator(root_path_of),
    Field(description="Path under which a proxy serves this, such as `/photos`; the proxy may pass it on or remove it."),
]
TrustedProxies = Annotated[
    str,
    AfterValidator(values.proxies),
    Field(
        description="Addresses and networks of proxies whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` are used, "
        "separated by commas."
    ),
]
