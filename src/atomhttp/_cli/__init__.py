"""The command line `atomhttp`: words in, calls of the client, text out. No HTTP happens here.

| File | What it does |
|---|---|
| `args.py` | the words: commands and options, with their help; the one file that imports click |
| `inputs.py` | what was given with an option, as the client's options take it |
| `jobs.py` | what there is to do, as values: a call, downloads, an upload |
| `run.py` | the program: does it, and returns how it ended |
| `calls.py` `transfer.py` | the two kinds of jobs |
| `report.py` | what went wrong, in one line |
| `render.py` `heads.py` `json_text.py` `waterfall.py` | what is shown of a response |
| `terminal.py` | what may reach a terminal, and in which colour |
| `exit_codes.py` | how the program ends |

It may import everything but `__main__`, and nothing that a command does not need before it needs it: half of what a
command line takes is its start.
"""
