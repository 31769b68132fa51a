"""Strict parsing of requests: mistakes are reported instead of ignored."""

from json import JSONDecodeError
from typing import Any

import marshmallow as ma
from flask import Request
from flask_smorest import abort
from webargs.flaskparser import FlaskParser, is_json_request


class StrictParser(FlaskParser):
    """Rejects unknown parameters, content types other than JSON, and JSON that Python cannot parse."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": ma.RAISE}

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """Return the body. Respond with 415 if its content type is not JSON, and with 400 if its content is not."""
        if not is_json_request(req):
            abort(415, message="Send the body as application/json.")
        try:
            return super().load_json(req, schema)
        except (JSONDecodeError, UnicodeDecodeError, RecursionError, ValueError):
            # Python fails on very deep nesting and on numbers with thousands of digits. No honest client sends those.
            abort(400, messages={"json": ["Invalid JSON body."]})
