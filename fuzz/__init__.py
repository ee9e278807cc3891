"""Fuzz targets: functions from bytes to nothing, each of which raises when a promise of atomhttp is broken.

`README.md` says how they are run and what a finding becomes. `tests/fuzz/` runs all of them, shortly and seeded.
"""
