"""What S3 and botocore say, in our words.

Nothing that a server wrote is repeated, but for names that look like one: its text
may hold a key's id, or whatever a stranger's server likes to show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lazydata.errors import (
    LazydataError,
    NoSpace,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
)
from lazydata.remotes.s3_address import Address

_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ACTION = re.compile(r"\bs3:[A-Za-z]{3,40}\b")

_KEY_UNKNOWN = ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_OTHER_REGION = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "BucketRegionError",
    "InvalidRegionName",
)
_FULL = (
    "QuotaExceeded",
    "InsufficientStorage",
    "InsufficientStorageSpace",
    "EntityTooLarge",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
)
_MAY_PASS = (
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "InvalidPart",
    "NoSuchUpload",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "TemporaryRedirect",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
)
_NOT_OFFERED = ("NotImplemented", "MethodNotAllowed", "405", "501")
_TRY_LATER = "try again later; what has arrived is not sent again"
_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/config: "
    "lazydata config set remotes.NAME.profile PROFILE"
)
_RENEW = "sign in again (aws sso login, for one), then run it again"
_OF_BUCKETS = ("s3:ListBucket", "s3:ListBucketMultipartUploads")
_UPLOADING = ("write", "s3:PutObject")
# What one request is for, and the permission that it takes.
_DOING = {
    "abort_multipart_upload": ("clean up", "s3:AbortMultipartUpload"),
    "complete_multipart_upload": _UPLOADING,
    "create_multipart_upload": _UPLOADING,
    "delete_object": ("delete", "s3:DeleteObject"),
    "delete_objects": ("delete", "s3:DeleteObject"),
    "get_object": ("read", "s3:GetObject"),
    "head_bucket": ("look for the bucket", "s3:ListBucket"),
    "head_object": ("look at", "s3:GetObject"),
    "list_multipart_uploads": ("look for unfinished uploads", "s3:ListBucketMultipartUploads"),
    "list_objects_v2": ("list", "s3:ListBucket"),
    "list_parts": ("look for unfinished uploads", "s3:ListMultipartUploadParts"),
    "put_object": _UPLOADING,
    "upload_part": _UPLOADING,
}


class Answer(NamedTuple):
    """An error that a server answered with.

    Args:
        code: S3's name for it, or the status as text where there is no name.
        status: of HTTP.
        region: where the bucket is, if the server says so.
        action: the permission that is lacking, if the server says so.
    """

    code: str
    status: int
    region: str | None = None
    action: str | None = None


def answer_of(response: Mapping[str, Any]) -> Answer:
    """Read the response that a ``ClientError`` carries."""
    error = response.get("Error", {})
    about = response.get("ResponseMetadata", {})
    code = str(error.get("Code", ""))
    region = about.get("HTTPHeaders", {}).get("x-amz-bucket-region") or error.get("Region", "")
    action = _ACTION.search(str(error.get("Message", "")))
    return Answer(
        code if _CODE.fullmatch(code) else "",
        int(about.get("HTTPStatusCode", 0)),
        region if _REGION.fullmatch(str(region)) else None,
        action[0] if action else None,
    )


def translate(error: Exception, address: Address, operation: str, key: str | None) -> LazydataError:
    """The error of ours for what botocore raised.

    Args:
        error: any exception of a call.
        address: of the remote.
        operation: botocore's name of the call.
        key: what it was about, if it was one key.
    """
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    if not isinstance(error, ClientError):
        return _of_client(error, address, operation, key)
    answer = answer_of(error.response)
    if error.operation_name.lower() == operation.replace("_", ""):
        return of_answer(answer, address, operation, key)
    # The credentials are somebody else's to give: STS, say, for a role to assume.
    return RemoteDenied(
        f"{address.url}: no credentials could be had: {error.operation_name} was refused"
        f" ({answer.code or answer.status})",
        hint=_RENEW,
    )


def of_answer(answer: Answer, address: Address, operation: str, key: str | None) -> LazydataError:
    """The error of ours for what a server answered."""
    code, status = answer.code, answer.status
    doing, permission = _DOING[operation]
    what = f"{address.url}: can't {doing}{f' {key}' if key else ''}"
    if code == "NoSuchBucket":
        return no_bucket(address)
    # A 404 alone may be any web server's: it does not make anything absent.
    if code == "NoSuchKey" and key:
        return RemoteObjectMissing(f"{address.url} has no {key}")
    if code in _FULL or status == 507:
        return _full(code, what, address)
    if code == "RequestTimeTooSkewed":
        return RemoteDenied(
            f"{what}: this machine's clock is off", hint="set it (NTP does), then run it again"
        )
    if code in _OTHER_REGION or status == 301:
        return _elsewhere(answer, what, address)
    if (
        code in _MAY_PASS
        or status in (408, 409, 429)
        or (status >= 500 and code not in _NOT_OFFERED)
    ):
        return RemoteUnavailable(
            f"{what}: the server is busy or in trouble ({code or status})", hint=_TRY_LATER
        )
    denied = _credentials_denied(code, what)
    if denied:
        return denied
    if code in _NOT_OFFERED:
        return RemoteDenied(
            f"{what}: the server can't do that ({code})", hint="is the endpoint one of S3?"
        )
    if code == "InvalidObjectState":
        return RemoteDenied(f"{what}: it is archived", hint="have it restored from the archive")
    if status == 403:
        return RemoteDenied(
            f"{what}: access denied",
            hint=f"the credentials need {_needed(answer, address, permission)}",
        )
    return RemoteDenied(
        f"{what}: the server refused ({code or status})",
        hint=f"is {address.endpoint or 'the bucket'} right? See the URL in lazydata.yml",
    )


def no_bucket(address: Address) -> RemoteDenied:
    """The bucket is missing, which is nothing that passes by itself."""
    where = f" at {address.endpoint}" if address.endpoint else ""
    return RemoteDenied(
        f"{address.url}: there is no bucket {address.bucket}{where}",
        hint="check its name, or create it: lazydata creates no buckets",
    )


def _needed(answer: Answer, address: Address, permission: str) -> str:
    bucket = f"arn:aws:s3:::{address.bucket}"
    objects = f"{bucket}/{address.prefix}*"
    action = answer.action or permission
    needed = f"{action} on {bucket if action in _OF_BUCKETS else objects}"
    if action == "s3:GetObject":
        # Who may not list is told that absent keys are denied.
        needed += f", and s3:ListBucket on {bucket}"
    return needed


def _full(code: str, what: str, address: Address) -> NoSpace:
    if code == "EntityTooLarge":
        return NoSpace(
            f"{what}: it is larger than the server takes", path=address.url, hint="split the file"
        )
    return NoSpace(
        f"{what}: no space is left there, or a quota is used up",
        path=address.url,
        hint="free some space (or raise the quota) and run it again; nothing was lost",
    )


def _elsewhere(answer: Answer, what: str, address: Address) -> RemoteDenied:
    endpoint = f" --endpoint {address.endpoint}" if address.endpoint else ""
    why = f"it is in the region {answer.region}" if answer.region else "it is in another region"
    return RemoteDenied(
        f"{what}: {why}",
        hint=f"lazydata add-remote {address.url}{endpoint} --region {answer.region or 'NAME'}",
    )


def _credentials_denied(code: str, what: str) -> RemoteDenied | None:
    if code in _EXPIRED:
        return RemoteDenied(f"{what}: the credentials have expired", hint=_RENEW)
    if code in _KEY_UNKNOWN:
        return RemoteDenied(
            f"{what}: the server does not know the access key in use", hint=_CREDENTIALS
        )
    if code == "SignatureDoesNotMatch":
        return RemoteDenied(
            f"{what}: the secret key in use is not the one of the access key", hint=_CREDENTIALS
        )
    if code == "InvalidToken":
        return RemoteDenied(f"{what}: the session token in use is not valid", hint=_RENEW)
    return None


def _of_client(
    error: Exception, address: Address, operation: str, key: str | None
) -> LazydataError:
    """What never got as far as an answer."""
    from botocore import exceptions as sdk  # type: ignore[import-untyped]

    what = f"{address.url}: can't {_DOING[operation][0]}{f' {key}' if key else ''}"
    if isinstance(error, sdk.ProfileNotFound):
        return RemoteDenied(
            f"{address.url}: AWS profile {address.profile or 'in AWS_PROFILE'} is not set up here",
            hint="`aws configure list-profiles` shows those that are; "
            "lazydata config set remotes.NAME.profile PROFILE",
        )
    if isinstance(error, (sdk.UnauthorizedSSOTokenError, sdk.SSOTokenLoadError, sdk.SSOError)):
        profile = f" --profile {address.profile}" if address.profile else ""
        return RemoteDenied(
            f"{what}: the SSO session has expired, or there is none",
            hint=f"run aws sso login{profile}, then run it again",
        )
    if isinstance(error, (sdk.NoCredentialsError, sdk.NoAuthTokenError)):
        return RemoteDenied(f"{what}: no credentials were found", hint=_CREDENTIALS)
    if isinstance(error, sdk.PartialCredentialsError):
        return RemoteDenied(f"{what}: the credentials are not complete", hint=_CREDENTIALS)
    if isinstance(error, (sdk.CredentialRetrievalError, sdk.TokenRetrievalError)):
        return RemoteDenied(f"{what}: no credentials could be had", hint=_RENEW)
    if isinstance(error, sdk.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return RemoteDenied(
            f"{what}: the server's certificate is not one that this machine trusts",
            hint="set AWS_CA_BUNDLE to the certificate of your authority",
        )
    if isinstance(error, sdk.BotoCoreError) and not isinstance(error, _of_the_way(sdk)):
        return RemoteDenied(
            f"{address.url}: the AWS settings can't be used ({type(error).__name__})",
            hint="check ~/.aws/config and the AWS_ variables of the environment",
        )
    return RemoteUnavailable(f"{what}: {_outage(error, sdk)}", hint=_reach(address))


def _of_the_way(sdk: Any) -> tuple[type[Exception], ...]:
    """What may happen to anyone between here and the server."""
    return (
        sdk.HTTPClientError,
        sdk.ConnectionError,
        sdk.IncompleteReadError,
        sdk.ChecksumError,
        sdk.FlexibleChecksumError,
    )


def _outage(error: Exception, sdk: Any) -> str:
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

    if isinstance(error, sdk.EndpointConnectionError):
        return "the server can't be reached"
    if isinstance(error, (sdk.ConnectTimeoutError, sdk.ReadTimeoutError)):
        return "the server did not answer in time"
    if isinstance(error, (sdk.IncompleteReadError, sdk.ResponseStreamingError)):
        return "the answer ended before its end"
    if isinstance(error, sdk.ProxyConnectionError):
        return "the proxy can't be reached"
    if isinstance(error, ResponseParserError):
        return "what answered does not speak as S3 does"
    return f"the connection failed ({type(error).__name__})"


def _reach(address: Address) -> str:
    return f"is {address.endpoint or 'the network'} up, and reachable from here?"
