"""The load: what runs inside the Locust process. The only package that imports locust.

    locustfile.py      the file that Locust is given; `bootstrap.py` is what it does
    users/             the users: classes for each arm, how many of each, on which worker, with which random numbers
    requests/          one request: intercepted, tracked to its end, classified, logged
    pacing/            when a request may start: the gate, and the arrivals of an open load
    state.py           what all users of a process share: gate, counts, log
    control_client.py  the Locust end of the channel to the harness
    distributed/       with `--workers`: master, workers, and the clocks of the workers
    web/               with `--web`: runs started from Locust's own page

Both ends of the channel import `config`, `messages` and `web_messages`, so these import nothing of Locust.
"""
