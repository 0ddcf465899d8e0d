"""The load: what runs inside the Locust process. The only package that imports locust.

    locustfile.py    the file that Locust is given; `bootstrap.py` is what it does
    users/locustfile_loader.py     the user's locustfile, loaded and, if need be, found wanting
    users/arm_classes.py          one class for each of its user classes and each arm
    users/allocation.py        how many users of each
    users/seeded_random.py         random numbers, the same in every arm
    pacing/gate.py          where users pause together
    pacing/poisson.py       when requests of an open load are due
    pacing/open_load.py      an open load: requests that arrive at a rate, whoever is free
    requests/origin_guard.py       nothing goes to any host but the arm's own
    requests/interceptor.py       takes each request of one user through all this, and marks it
    requests/tracked_request.py        one request under way: when it counts as ended, and how
    requests/streaming.py        streams: their outcome is known when the body ends
    requests/failures.py      who says that a request failed
    requests/locust_event.py Locust's `request` event, with every outcome passing through
    requests/request_log.py   every start and end, on disk
    state.py         what all users share: gate, counts, log
    control_client.py      the Locust end of the channel to the harness

and with `--workers`, where the users are in other processes:

    users/shards.py         which worker has which users
    distributed/user_dispatcher.py        Locust's dispatcher, dealing them so
    distributed/master.py        between harness and workers
    distributed/worker.py        steered and recorded through the master
    distributed/protocol.py          what these two say to each other
    distributed/clock_sync.py     a worker's clock against the harness's

`config` and `messages` are what both ends of the channel know: they import nothing of Locust.
"""
