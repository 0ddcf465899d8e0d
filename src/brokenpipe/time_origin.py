"""What a time is counted from.

Apart from the faults, which promise by it, and from the records, which hold it: Locust's processes write records, and
shall not import all faults for that.
"""

from __future__ import annotations

from typing import Literal

Since = Literal["injection", "last_byte", "sending", "commit"]
"""What a time counts from: the moment before the fault was injected, the client's last byte, or the sending of
a message whose answer is timed; or the next COMMIT of a transaction that has written."""
