"""The values and ports that all rooms of the engine share: sequence, step, model, stream."""
