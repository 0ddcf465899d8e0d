"""The load: what runs inside the Locust process. The only package that imports locust.

    locustfile.py    the file that Locust is given; `begin.py` is what it does
    user_file.py     the user's locustfile, loaded and, if need be, found wanting
    arms.py          one class for each of its user classes and each arm
    shares.py        how many users of each
    draws.py         random numbers, the same in every arm
    gate.py          where users pause together
    poisson.py       when requests of an open load are due
    arrivals.py      an open load: requests that arrive at a rate, whoever is free
    refusal.py       nothing goes to any host but the arm's own
    courier.py       takes each request of one user through all this, and marks it
    flight.py        one request under way: when it counts as ended, and how
    bodies.py        streams: their outcome is known when the body ends
    outcomes.py      who says that a request failed
    request_event.py Locust's `request` event, with every outcome passing through
    request_log.py   every start and end, on disk
    tower.py         what all users share: gate, counts, log
    steering.py      the Locust end of the channel to the harness

and with `--workers`, where the users are in other processes:

    seats.py         which worker has which users
    dealer.py        Locust's dispatcher, dealing them so
    master.py        between harness and workers
    worker.py        steered and recorded through the master
    wire.py          what these two say to each other
    alignment.py     a worker's clock against the harness's

`config` and `messages` are what both ends of the channel know: they import nothing of Locust.
"""
