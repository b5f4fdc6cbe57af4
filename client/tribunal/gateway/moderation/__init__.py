"""From texts to decisions: queues before Triton, policies, decisions."""
