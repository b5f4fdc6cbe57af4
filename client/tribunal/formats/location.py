"""Where files are: on this machine, and not at an address such as `s3://bucket/file`."""

import re
from pathlib import Path

from tribunal.errors import InvalidInput

# A path has one slash where its address had two. One letter is a drive of Windows.
ADDRESS = re.compile(r"^([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE | re.DOTALL)


def require_local(location: str, use: str, cure: str) -> None:
    """Raise InvalidInput if `location` is an address and not a path.

    use: what the command would do, such as `reads`. cure: what to do instead.
    """
    address = ADDRESS.match(location)
    if address is None or Path(location).parent.is_dir():
        return
    scheme, rest = address.groups()
    if scheme.lower() == "file":
        cure = "give its path without file://"
    raise InvalidInput(f"{scheme}://{rest} is no local file, and the command {use} only local files: {cure}")
