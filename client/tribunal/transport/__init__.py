"""The way of named tensors to the server and back, over gRPC or HTTP."""
