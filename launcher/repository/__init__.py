"""The exported model repository: its contract, its manifest and its verification."""
