"""Additions to Locust's web UI, through its own extension points: two tabs, a bar above them, and a page of our own.

The harness makes the state that they show, and gets the commands that are given there.
https://docs.locust.io/en/stable/extending-locust.html
"""

# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False
# (Locust and Flask's decorators carry no types)

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from flask import Blueprint, Response, jsonify, request, send_file

from brokenpipe.load.config import Web
from brokenpipe.load.web.origin_check import OriginCheck
from brokenpipe.load.web_messages import COMMAND_NAMES, CommandName

PREFIX = "/brokenpipe"
MAX_POINTS = 900  # a quarter of an hour of the charts, a point a second
MAX_REQUEST_BYTES = 20_000  # of a command

_TABLES: Mapping[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "arms": (
        "Arms",
        [
            ("arm", "Arm"),
            ("rate", "Broken-pipe rate, last 10 s"),
            ("broken", "Broken requests"),
            ("failed", "Failed requests"),
            ("masked", "Masked disconnects"),
            ("p95", "p95, last 10 s"),
            ("pool", "Pool: out / idle"),
            ("postgres", "Postgres connections"),
        ],
    ),
    "faults": ("Faults", [("event", "What"), ("phase", "Phase"), ("arms", "Arms"), ("time", "When")]),
}
_KEYS_OF_RUN = ("tables", "fault_bands", "fault_events")
_BAR = """
<style>.MuiFormControl-root:has(input[name="host"]) {{ display: none }}</style>
<nav style="font:14px system-ui,sans-serif;background:#10231c;color:#dfe9e4;padding:7px 16px;display:flex;gap:20px">
<b>brokenpipe</b><a style="color:#7fd6a8" href="{prefix}/">Arms, faults and report</a>
<span>Users are the total of {arms} arms, rounded up so that all have as many.</span></nav>
"""


class WebRuns(Protocol):
    """The runs that the pages show and control."""

    @property
    def ready(self) -> bool:
        """True if Start may be pressed or the number of users changed."""

    def send_command(
        self, command: CommandName, fault: Mapping[str, Any], arms: tuple[str, ...]
    ) -> str | None:
        """Send a command to the harness. Returns why it refuses; None: it will be carried out."""


class WebPages:
    """Pages and tabs beside Locust's own. They keep nothing beyond the life of the web server."""

    def __init__(self, web_runs: WebRuns, web: Web, arms: tuple[str, ...]) -> None:
        self._web_runs = web_runs
        self._web = web
        self._arms = arms
        self._state: Mapping[str, Any] = {"state": "preparing", "message": "", "reports": [], "tables": {}}
        self._points: deque[Mapping[str, Any]] = deque(maxlen=MAX_POINTS)
        self._run: str | None = None

    def show(self, state: Mapping[str, Any]) -> None:
        """Set the newest state. Its `point` is added to the charts, which are cleared at the start of a run."""
        if state["run"] is None:  # between two runs, what the last one showed stays
            state = {**state, **{key: self._state.get(key, {}) for key in _KEYS_OF_RUN}}
        elif state["run"] != self._run:
            self._run = state["run"]
            self._points.clear()
        if state["point"]:
            self._points.append(state["point"])
        self._state = state

    def attach(self, web_ui: Any) -> None:
        """Add everything to Locust's application, and put the origin check in front of all of it."""
        app = web_ui.app
        web_ui.template_args |= {
            "extended_tabs": [{"key": key, "title": title} for key, (title, _) in _TABLES.items()],
            "extended_tables": [
                {"key": key, "structure": [{"key": name, "title": head} for name, head in columns]}
                for key, (_, columns) in _TABLES.items()
            ],
            "extended_csv_files": [{"href": f"{PREFIX}/", "title": "Arms, faults and report of brokenpipe"}],
        }
        app.debug = False
        app.before_request(self._not_yet)
        app.after_request(self._extend)
        app.register_blueprint(self._blueprint())
        app.wsgi_app = OriginCheck(app.wsgi_app, self._web.port)

    # --- Locust's own routes ------------------------------------------------------------------------

    def _not_yet(self) -> Response | None:
        if request.path == "/swarm" and not self._web_runs.ready:
            message = self._state["message"] or "the stack for the next run is being prepared"
            return jsonify({"success": False, "message": f"Not yet: {message}. Try again in some seconds."})
        return None

    def _extend(self, response: Response) -> Response:
        if request.path == "/" and response.mimetype == "text/html":
            bar = _BAR.format(prefix=PREFIX, arms=len(self._arms))
            response.set_data(response.get_data(as_text=True).replace("<body>", f"<body>{bar}", 1))
        elif request.path == "/stats/requests" and isinstance(response.json, dict):
            extended = [{"key": key, "data": self._state["tables"].get(key, [])} for key in _TABLES]
            response.set_data(json.dumps({**response.json, "extended_stats": extended}))
        return response

    # --- ours ---------------------------------------------------------------------------------------

    def _blueprint(self) -> Blueprint:
        ours = Blueprint("brokenpipe", __name__, url_prefix=PREFIX)
        ours.get("/")(self._get_page)
        ours.get("/state")(self._get_state)
        ours.get("/series")(self._get_series)
        ours.get("/reports/<int:number>")(self._get_report)
        ours.post("/commands")(self._post_command)
        return ours

    def _get_page(self) -> Response:
        return send_file(self._web.page, mimetype="text/html", max_age=0)

    def _get_state(self) -> Response:
        return jsonify({key: part for key, part in self._state.items() if key != "point"})

    def _get_series(self) -> Response:
        columns: dict[str, list[Any]] = {}
        for point in self._points:
            for name, value in point.items():
                columns.setdefault(name, []).append(value)
        return jsonify(columns)

    def _get_report(self, number: int) -> Response | tuple[str, int]:
        """A report of this web session, by its index in the list."""
        reports = self._state["reports"]
        page = Path(reports[number]["page"]) if number < len(reports) else None
        if page is None or not page.is_file():
            return "There is no report of that run yet.", 404
        return send_file(page, mimetype="text/html", max_age=0)

    def _post_command(self) -> tuple[Response, int]:
        body = request.get_json(silent=True) if (request.content_length or 0) <= MAX_REQUEST_BYTES else None
        if not isinstance(body, dict) or body.get("command") not in COMMAND_NAMES:
            return jsonify({"refusal": f"no such command; there are {', '.join(COMMAND_NAMES)}"}), 400
        fault, arms = body.get("fault") or {}, body.get("arms") or []
        if not isinstance(fault, dict) or not all(isinstance(arm, str) for arm in arms):
            return jsonify({"refusal": "fault is an object, arms a list of names"}), 400
        refusal = self._web_runs.send_command(body["command"], fault, tuple(arms))
        return jsonify({"refusal": refusal}), 409 if refusal else 202
