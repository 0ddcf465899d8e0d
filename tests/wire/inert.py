"""Doubles of what a fault acts on, on which nothing happens: a probe must notice that."""

from __future__ import annotations

from collections.abc import Callable

from brokenpipe.faults import ServerControl, StopMode


class InertServer:
    """A server to which nothing happens."""

    pooled = False

    def terminate(self) -> None:
        pass

    def set(self, setting: str, value: str | None) -> None:
        pass

    def restart(
        self,
        mode: StopMode,
        away_s: float,
        *,
        on_stopped: Callable[[], None],
        on_listening: Callable[[], None],
    ) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


class InertProxy:
    """A proxy on which nothing happens."""

    def update(self, toxic: str, /, **attributes: int) -> None:
        pass

    def kill(self) -> None:
        pass

    def refuse(self) -> None:
        pass

    def accept(self) -> None:
        pass

    def drop(self, on: bool, /) -> None:
        pass

    @property
    def server(self) -> ServerControl:
        return InertServer()
