"""`tribunal gateway`: one process that speaks the protocols of existing clients, and asks Triton for them."""
