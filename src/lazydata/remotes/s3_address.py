"""What an ``s3://`` URL and its options name; nothing is asked of anyone here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from lazydata.errors import UsageError

# Also keeps out what the SDK would take for something else: ARNs, paths.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?|[0-9a-f:.]+", re.IGNORECASE)
# A whole key has at most 1024 bytes, and those below the prefix up to 512.
_LONGEST_PREFIX = 511
_USUAL_REGION = "us-east-1"


class Address(NamedTuple):
    """Where a remote is, and as whom to go there.

    Args:
        url: printable.
        bucket: its name.
        prefix: what all keys begin with: empty, or with a ``/`` at its end.
        endpoint: URL of an S3-compatible server; None for AWS.
        region: None to leave it to the user's settings.
        profile: of the user's AWS settings; None for the usual one.
    """

    url: str
    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    profile: str | None


def address_of(url: str, options: Mapping[str, str]) -> Address:
    """Read URL and options of a remote.

    Args:
        url: ``s3://bucket`` or ``s3://bucket/prefix``, percent-encoded.
        options: ``endpoint``, ``region`` and ``profile`` count; others do not.

    Raises:
        UsageError: one of them can't be right. What may hold a secret is not repeated.

    Example:
        >>> address_of("s3://bucket/my%20data", {}).prefix
        'my data/'
    """
    bucket, prefix = _bucket_and_prefix(url)
    endpoint = options.get("endpoint") or None
    region = options.get("region") or None
    if endpoint is not None:
        _check_endpoint(url, endpoint)
        # Not the user's own region: that is one of AWS, and this is not AWS.
        region = region or _USUAL_REGION
    if region is not None and not _REGION.fullmatch(region):
        raise UsageError(
            f"{url}: its region is not the name of one", hint="such as eu-central-1 or auto"
        )
    return Address(url, bucket, prefix, endpoint, region, options.get("profile") or None)


def _bucket_and_prefix(url: str) -> tuple[str, str]:
    from urllib.parse import unquote

    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise UsageError(  # it may be user:password@bucket
            "an s3:// URL does not name a bucket as S3 does",
            hint="write s3://bucket/prefix, with 3 to 63 of a-z, 0-9, . and - in the bucket's name",
        )
    if "?" in path or "#" in path:
        raise UsageError(
            f"s3://{bucket}: a remote's URL has no part after ? or #",
            hint="write %3F for ? and %23 for #; no token belongs into a URL",
        )
    try:
        prefix = unquote(path, errors="strict").strip("/")
    except UnicodeDecodeError:
        raise UsageError(f"s3://{bucket}: its prefix is not UTF-8") from None
    parts = prefix.split("/") if prefix else []
    if not prefix.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise UsageError(
            f"s3://{bucket}: its prefix has a part that is empty, . or .., or a control character",
            hint="choose a plain prefix, such as s3://bucket/lazydata",
        )
    if len(prefix.encode()) > _LONGEST_PREFIX:
        raise UsageError(f"s3://{bucket}: its prefix is too long", hint="S3 allows 1024 bytes")
    return bucket, f"{prefix}/" if prefix else ""


def _check_endpoint(url: str, endpoint: str) -> None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint)
        plain = (
            parts.scheme in ("http", "https")
            and "@" not in parts.netloc
            and not any(sign in endpoint for sign in "?#\\")
            and endpoint.isascii()
            and endpoint.isprintable()
            and " " not in endpoint
            and _HOST.fullmatch(parts.hostname or "") is not None
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        plain = False
    if not plain:
        raise UsageError(
            f"{url}: its endpoint is not the plain URL of a server",
            hint="write https://host or http://host:port, without user, password or query",
        )
