"""Damaged and hostile files by the thousand, each given to the command that reads it: python -m tests.fuzz.

scenes.py    whole files of every kind, and what a command needs around them
damage.py    what is done to any bytes, to JSON, and inside what zlib packed
hostile.py   what nobody damages by accident: pickles that call functions, bombs, pictures of forbidden formats
kinds.py     the table: which file, damaged how, read by which command
worker.py    a process that makes cases and runs them; what it reports
campaign.py  processes, the watchdog, the table of outcomes
"""
