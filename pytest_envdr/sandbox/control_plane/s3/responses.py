"""How S3's requests are answered where moto's answer is not S3's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.s3.responses import S3Response
from typing_extensions import override

from pytest_envdr.sandbox.api import is_asked
from pytest_envdr.sandbox.control_plane.extension import moto_urls
from pytest_envdr.sandbox.control_plane.s3.operations import operation

if TYPE_CHECKING:
    from collections.abc import Mapping


class SandboxS3Response(S3Response):
    """moto's answers, and ours where S3's are other ones."""

    operation: str = ""

    @override
    def _bucket_response(self, request: Any, full_url: str) -> Any:
        self._begin("bucket" if self.bucket_name else "service")
        if self.operation == "GetBucketNotificationConfiguration":
            return self._notifications()
        return super()._bucket_response(request, full_url)

    @override
    def _key_response(self, request: Any, full_url: str) -> Any:
        self._begin("object")
        return super()._key_response(request, full_url)

    def _begin(self, on: str) -> None:
        """Tell the front what is asked for."""
        self.operation = operation(
            self.request.method, on=on, query=self.request.args, headers=set(self.request.headers.keys(lower=True))
        )
        is_asked("s3", self.operation)

    def _answered(self, result: Mapping[str, Any]) -> Any:
        """A result in the shape of the operation's output."""
        self.data["Action"] = self.operation
        return self.serialized(ActionResult(dict(result)))

    def _notifications(self) -> Any:
        """GetBucketNotificationConfiguration, with EventBridge's flag, which is an empty element."""
        status, headers, body = self.get_bucket_notification()
        kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if kept is None or kept.event_bridge is None:
            return status, headers, body
        flag, end = "<EventBridgeConfiguration/>", "</NotificationConfiguration>"
        text = body.decode() if isinstance(body, bytes) else body
        root = text.rstrip().removesuffix("/>")
        whole = f"{root}>{end}" if root != text.rstrip() else text
        return status, headers, whole.replace(end, flag + end)


def extend_responses() -> None:
    """Let our class answer all paths of S3's."""
    paths = moto_urls("s3").url_paths
    for path, dispatch in paths.items():
        paths[path] = getattr(SandboxS3Response, dispatch.__name__)
