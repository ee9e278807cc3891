"""What the tests stand on: real servers, a scripted peer, a virtual clock, and the guards around every test.

Imported as ``support`` (``tests`` is on pytest's path). May import the standard library, pytest, trustme and uvloop;
never atomhttp itself, except for `leaks` and `clock`, which look at the engine's own counters and clock.
"""
