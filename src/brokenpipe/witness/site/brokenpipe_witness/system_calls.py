"""What asks the kernel, as it was when the process began: gevent puts functions in their places that let others run."""

from select import poll

__all__ = ["poll"]
