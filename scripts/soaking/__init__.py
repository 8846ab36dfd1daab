"""`make soak`: hundreds of syncs on files that change, with random faults, for as long as asked."""
