"""The command line: `cli` lists its commands, each of which has a file here."""
