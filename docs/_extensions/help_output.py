"""Directive `help-output`: a command's help text, taken from the command when the site is built."""

import os
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

CHECKOUT = Path(__file__).parents[2]
COLUMNS = 90


class HelpOutput(SphinxDirective):
    """`python -m` of the argument with `--help`, as a literal block.

    The build stops with the command's own error where it fails.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Run the command in the checkout, whose path is left out of what it prints."""
        module = self.arguments[0].split()
        shown = subprocess.run(
            [sys.executable, "-m", *module, "--help"],
            cwd=CHECKOUT,
            env={**os.environ, "COLUMNS": str(COLUMNS), "TERM": "dumb"},
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode:
            raise self.error(f"{' '.join(module)} --help failed: {shown.stderr}")
        text = shown.stdout.replace(f"{CHECKOUT}/", "")
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directive."""
    app.add_directive("help-output", HelpOutput)
    return {"parallel_read_safe": True}
