"""Who may send a request, and how large and how slow it may be."""
