"""The data's path: fetch, unpack, read, infer, gate, apply, publish. `pipeline` tells the story."""
