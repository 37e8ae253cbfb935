"""The control plane: keys, pushes, the cluster's view, reactions, the journal and its subscribers."""
