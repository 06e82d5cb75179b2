"""The live page: one file, and a policy that lets it talk to its own run alone."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files


def _hashes(page: str, tag: str) -> str:
    """Return the policy's hashes of what stands between <tag> and </tag>."""
    parts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def policy(page: str) -> str:
    """Return a Content-Security-Policy that lets only the page's own script and style run."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hashes(page, 'script')}",
            f"style-src {_hashes(page, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


_TEXT = files("agent.ui").joinpath("live.html").read_text(encoding="utf-8")
PAGE, POLICY = _TEXT.encode(), policy(_TEXT)
