"""The optional OpenCV import of cameras."""

from __future__ import annotations

from typing import Any

from agent.capture.base import CaptureError


def import_opencv() -> Any:
    """Return the module cv2.

    Raises:
        CaptureError: it is not installed.
    """
    try:
        import cv2
    except ImportError as missing:
        raise CaptureError("Cameras need OpenCV: pip install -e '.[camera]'") from missing
    return cv2
