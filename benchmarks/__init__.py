"""Speed of atomhttp beside its peers, in one run, on one machine; `./scripts/bench` starts it.

origin.py        the server that is asked: nginx on loopback (plain, TLS, unix socket)
bare.py          the yardstick: atomhttp's engine with every feature left out
peers.py         one small adapter a client
worker.py        a client's process: what it is asked to do, the test of every reply, the clock
limits.py        what curl and wrk reach against the same server
measure.py       the rows, and interleaved rounds over the clients' processes
report.py        medians, ratios, the table and the JSON file
versus_bare.py   atomhttp and the yardstick alternated in one process: the tool for development
"""
