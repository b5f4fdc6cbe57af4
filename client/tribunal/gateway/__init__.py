"""`tribunal gateway`: a reverse proxy for Triton that speaks the protocols of existing clients."""
