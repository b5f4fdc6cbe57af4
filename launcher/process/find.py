"""Finds the tritonserver to run."""

from pathlib import Path

from launcher import StartError
from launcher.process.installation import Installation
from launcher.process.nvidia_image import find_image


def find_installation(root: Path | None = None) -> Installation:
    """The installation below `root`; by default NVIDIA's image, or outside of it the wheel.

    Raises StartError if there is none.
    """
    if root is not None:
        image = find_image(root)
        if image is None:
            raise StartError(f"{root} has no bin/tritonserver: check --triton")
        return image
    image = find_image()
    if image is not None:
        return image
    # The image has none of the packages that the wheel needs.
    from launcher.process.wheel import find_wheel

    return find_wheel()
