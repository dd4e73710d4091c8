"""The one way to a bucket: botocore's client, a limit on what it does at once, our errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from lazydata.errors import LazydataError, RemoteDenied, RemoteUnavailable
from lazydata.remotes import base
from lazydata.remotes.s3_address import Address
from lazydata.remotes.s3_errors import Answer, answer_of, of_answer, translate
from lazydata.remotes.s3_sockets import AbandonedError, BreakingStop, make_stoppable
from lazydata.remotes.threads import Stop, StoppedError, in_thread

T = TypeVar("T")

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# Waiting longer is Retrying's work, and can be cancelled there.
_ATTEMPTS = 2
# Bytes up to which a body is sent without asking for leave, which takes a round trip.
_SENT_AT_ONCE = 64 << 10
# The rule for a server that is not AWS, as https://smithy.io/2.0/additional-specs/rules-engine
# has it: buckets by path. AWS needs hundreds of rules, which take as long to read as the rest.
_RULES = "endpoint-rule-set-1"
_BY_PATH = {
    "version": "1.0",
    "parameters": {
        "Bucket": {"type": "String", "required": True},
        "Endpoint": {"type": "String", "required": True, "builtIn": "SDK::Endpoint"},
        "Region": {"type": "String", "required": True, "builtIn": "AWS::Region"},
    },
    "rules": [
        {
            "type": "endpoint",
            "conditions": [
                {"fn": "parseURL", "argv": [{"ref": "Endpoint"}], "assign": "url"},
                {"fn": "uriEncode", "argv": [{"ref": "Bucket"}], "assign": "bucket"},
            ],
            "endpoint": {
                "url": "{url#scheme}://{url#authority}{url#normalizedPath}{bucket}",
                "properties": {
                    "authSchemes": [
                        {
                            "name": "sigv4",
                            "signingName": "s3",
                            "signingRegion": "{Region}",
                            "disableDoubleEncoding": True,
                        }
                    ]
                },
                "headers": {},
            },
        }
    ],
}


class AnsweredError(Exception):
    """An error that the caller wanted to be told of as it is.

    Args:
        answer: what the server said.
        error: what to raise if it is of no use after all.
    """

    def __init__(self, answer: Answer, error: LazydataError) -> None:
        super().__init__(answer.code)
        self.answer = answer
        self.error = error


class Bucket:
    """One bucket, as one user.

    Args:
        address: where it is.
        concurrency: how many calls there are at once.
    """

    def __init__(self, address: Address, concurrency: int) -> None:
        self.address = address
        self.url = address.url
        self.concurrency = max(1, concurrency)
        self.slots = asyncio.Semaphore(self.concurrency)
        self._client: Any = None
        self._connecting = threading.Lock()

    async def run(self, work: Callable[[Stop], T]) -> T:
        """Run blocking work in a thread, when fewer than ``concurrency`` others run."""
        async with self.slots:
            return await self.run_now(work)

    async def run_now(self, work: Callable[[Stop], T]) -> T:
        """The same for who holds one of ``slots`` already."""
        stop = BreakingStop()

        def working() -> T:
            with stop.around():
                stop.check()
                return work(stop)

        return await in_thread(working, stop=stop)

    def call(
        self,
        operation: str,
        key: str | None = None,
        *,
        telling: Collection[str] = (),
        needing: Collection[str] = (),
        **more: Any,
    ) -> Any:
        """Ask for one thing; call it in a thread.

        Args:
            operation: botocore's name for it.
            key: what it is about, if that is one key.
            telling: codes, or statuses as text, of answers to raise as they are.
            needing: what has to be in the answer.
            more: its other arguments.

        Raises:
            AnsweredError: one of ``telling``.
            LazydataError: any other failure.
        """
        if key is not None:
            more["Key"] = self.address.prefix + key
        with self.translated(operation, key, telling):
            client = self._client or self._connect()
            answer = getattr(client, operation)(Bucket=self.address.bucket, **more)
        if any(name not in answer for name in needing):
            raise RemoteUnavailable(f"{self.url}: the server's answer on {key} is not complete")
        return answer

    @contextmanager
    def translated(
        self, operation: str, key: str | None, telling: Collection[str] = ()
    ) -> Iterator[None]:
        """Turn what botocore raises into our words; nothing but botocore runs inside."""
        try:
            yield
        except (LazydataError, StoppedError):
            raise
        except AbandonedError as error:
            raise error.reason from None
        except Exception as error:
            ours = translate(error, self.address, operation, key)
            answer = answer_of(getattr(error, "response", None) or {})
            if answer.code in telling or str(answer.status) in telling:
                raise AnsweredError(answer, ours) from None
            # Not `from error`: its text holds what the server said.
            raise ours from None

    def explain(self, error: AnsweredError, operation: str, key: str | None) -> LazydataError:
        """Why a HEAD was refused: its answer has no body to say so, but a listing's has."""
        try:
            self.call("list_objects_v2", Prefix=self.address.prefix, MaxKeys=1)
        except RemoteDenied as told:
            return told
        return of_answer(error.answer, self.address, operation, key)

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()

    def _connect(self) -> Any:
        """Make the client; importing the SDK is the greater part of that."""
        with self._connecting:
            if self._client is None:
                from botocore.session import Session  # type: ignore[import-untyped]

                session = Session(profile=self.address.profile)
                loader = session.get_component("data_loader")
                loader.list_available_services = lambda *_, **__: _Everything()
                if self.address.endpoint:
                    loader.load_service_model = _with_our_rules(loader.load_service_model)
                parsers = session.get_component("response_parser_factory")
                parsers.set_parser_defaults(timestamp_parser=_time_of)
                # botocore's own prompt would read the terminal, from a thread.
                provider = session.get_component("credential_provider")
                provider.get_provider("assume-role")._prompter = _ask
                client = session.create_client(
                    "s3",
                    region_name=self.address.region,
                    endpoint_url=self.address.endpoint,
                    config=self._config(),
                )
                make_stoppable(client)
                client.meta.events.register("before-send.s3", _about_to_send)
                if self.address.endpoint:
                    client.meta.events.register_first("needs-retry.s3", _stay_here)
                self._client = client
        return self._client

    def _config(self) -> Any:
        from botocore.config import Config  # type: ignore[import-untyped]

        settings: dict[str, Any] = {
            # No more about this machine than a stranger's server has to know.
            "user_agent": "lazydata",
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
            "max_pool_connections": self.concurrency,
            "parameter_validation": False,  # our keys and numbers are checked
            # Never another one that the user's settings name: only signed requests leave.
            "signature_version": "s3v4",
        }
        if self.address.endpoint:
            # Servers that are not AWS may store the trailer of a checksum as part of
            # the bytes, and know buckets by path only.
            settings["request_checksum_calculation"] = "when_required"
            settings["response_checksum_validation"] = "when_required"
            settings["s3"] = {"addressing_style": "path"}
        return Config(**settings)


class _Everything(list[str]):
    """Stands for the services that botocore knows.

    It lists them, which takes hundreds of directories, only to refuse the name of one that
    is not there; without the list, its data is not found a moment later.
    """

    def __contains__(self, name: object) -> bool:
        return True


def _with_our_rules(load: Callable[..., Any]) -> Callable[..., Any]:
    def load_service_model(service: str, kind: str, *more: Any, **others: Any) -> Any:
        if (service, kind) == ("s3", _RULES):  # no other service: profiles may ask STS
            return _BY_PATH
        return load(service, kind, *more, **others)

    return load_service_model


def _time_of(text: Any) -> Any:
    """What botocore does, ten times as fast for the times in a listing."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo:
            return found
    except (TypeError, ValueError):
        pass
    from botocore.utils import parse_timestamp  # type: ignore[import-untyped]

    return parse_timestamp(text)


def _ask(question: str) -> str:
    answer = base.prompt(question) if base.prompt else None
    if answer is None:
        raise RemoteDenied(
            "the AWS profile wants a code that nobody is there to type",
            hint="sign in with the AWS command line first, or use a profile without MFA",
        )
    return answer


def _stay_here(request_dict: Any, **_: Any) -> None:
    """Tell botocore that it has been redirected already.

    It asks a server that redirects for the bucket's region, and on that answer asks again,
    without an end where the server is not AWS.
    """
    context = request_dict.get("context", {}).get("s3_redirect")
    if isinstance(context, dict):
        context["redirected"] = True


def _about_to_send(request: Any, **_: Any) -> None:
    """botocore read the body to sign it; from here on it is read to be sent."""
    if int(request.headers.get("Content-Length") or 0) <= _SENT_AT_ONCE:
        request.headers.pop("Expect", None)
    body = getattr(request.body, "_raw", request.body)  # inside, where a checksum trails
    sending = getattr(body, "sending", None)
    if sending is not None:
        sending()
