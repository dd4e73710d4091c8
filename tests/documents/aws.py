"""``aws s3api OPERATION --option value …`` where the AWS CLI is not installed: the same call.

Operations, options and their types are those of botocore's own model of S3.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from botocore import xform_name
from botocore.session import Session


def value(text: str, shape: Any) -> Any:
    """What an option's text means: JSON, ``Key=Value,…`` for a structure, or itself."""
    if text[:1] in "{[":
        return json.loads(text)
    if shape.type_name == "structure":
        return dict(pair.split("=", 1) for pair in text.split(","))
    return int(text) if shape.type_name in ("integer", "long") else text


def main(service: str, wanted: str, *options: str) -> None:
    """Make the call, and print the answer as JSON."""
    assert service == "s3api", service
    session = Session()
    given = dict(zip(options[::2], options[1::2], strict=True))
    client = session.create_client("s3", region_name=given.pop("--region", "us-east-1"))
    model = client.meta.service_model
    (name,) = (n for n in model.operation_names if xform_name(n, "-") == wanted)
    members = model.operation_model(name).input_shape.members
    known = {"--" + xform_name(member, "-"): member for member in members}
    call = {known[o]: value(text, members[known[o]]) for o, text in given.items()}
    answer = getattr(client, xform_name(name))(**call)
    answer.pop("ResponseMetadata")
    client.close()
    if answer:
        print(json.dumps(answer, indent=4, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
