"""Speed of atomhttp beside its peers, in one run, on one machine; `./scripts/bench` starts it.

What answers
    origin.py        nginx on loopback (plain, TLS, HTTP/2, unix socket, a hundred addresses)
    sink.py          where uploads go
    payloads.py      what is sent back and forth
Who asks
    peers/           one small adapter a client
    bare.py          the yardstick: atomhttp's engine with every feature left out
    bare_http2.py    and its HTTP/2
    limits.py        what curl, wrk and h2load reach
    environments.py  which interpreter a client lives under
What is asked
    rows.py          the questions that count requests a second, as data
    exercises.py     what a client does for them, and the test of every reply
    job.py, worker.py, client.py   a client's process: its jobs, the clock in it, the other end of its pipe
    measure.py       interleaved rounds
    latency.py, memory.py, imports.py, features.py, growth.py   the questions of other kinds
What comes of it
    table.py         one question's samples: what all of the above hand over
    bars.py          what has to be reached, as data
    results.py       medians and ratios
    report.py, charts.py, machine.py   tables and JSON, pictures, and what it was measured on

versus_bare.py       atomhttp and the yardstick alternated in one process: the tool for development
soak.py              a million requests, and what they leave behind
"""
