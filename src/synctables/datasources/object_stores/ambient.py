"""What the machine would lend to whoever asks: this process forgets it.

Every constructor of ``obstore`` takes what the environment holds for all that it is not told: an
``AWS_ENDPOINT_URL_S3`` wins even over an endpoint that was given, an ``AWS_SESSION_TOKEN`` joins
keys that are not its own. Where credentials are missing, it asks the metadata service of the
machine. Only settings may say such things here, and a list of names to override would be one
release of the library behind.
"""

from __future__ import annotations

import os

_PREFIXES = ("AWS_", "GOOGLE_", "AZURE_", "AZURITE_", "GCE_METADATA_", "IDENTITY_")
_NAMES = ("SERVICE_ACCOUNT",)


def forget_ambient_settings() -> None:
    """Remove the variables of cloud services from this process, for good.

    Nothing else in it reads them, and its children get an environment of their own.
    """
    for name in [one for one in os.environ if one.upper().startswith(_PREFIXES)]:
        os.environ.pop(name, None)
    for name in _NAMES:
        os.environ.pop(name, None)
