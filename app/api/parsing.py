"""How requests are read: strictly, so that a mistake is named instead of ignored."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

import marshmallow as ma
from flask import Request, request
from flask_smorest import abort
from webargs.flaskparser import FlaskParser, is_json_request


class StrictParser(FlaskParser):
    """Refuses parameters that nobody knows, other content types than JSON, and JSON that Python cannot hold."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": ma.RAISE}

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """Return the body; answer 415 where it is no JSON by name, and 400 where it is none in fact."""
        if not is_json_request(req):
            abort(415, message="Send the body as application/json.")
        try:
            return super().load_json(req, schema)
        except (JSONDecodeError, UnicodeDecodeError, RecursionError, ValueError):
            # Too deep for the parser, or a number of thousands of digits: not JSON that anybody sends in good faith.
            abort(400, messages={"json": ["Invalid JSON body."]})


def refuse_parameters() -> None:
    """Answer 422 to a query that the view would not look at."""
    if request.args:
        abort(422, messages={"query": {name: ["Unknown field."] for name in request.args}})
