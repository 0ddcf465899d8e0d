"""What every service here does on request, with the pool that POOL names: by path, in threads or async.

`/select` takes a connection and gives it back; `/select_checked` takes it from a pool that checks connections; `/sleep`
holds one for a while; `/keep` does not give it back, `/give_back` does later.
"""

import importlib
import os

pool = importlib.import_module(os.environ["POOL"])
NAMES = ("select", "select_checked", "sleep", "keep", "give_back")
THREADED = {f"/{name}": getattr(pool, name, None) for name in NAMES}
ASYNC = {f"/{name}": getattr(pool, f"{name}_async", None) for name in NAMES}
