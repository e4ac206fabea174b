"""The lab report: its table filled in, and its claims put to the test. minifcn.table1 is the command."""
