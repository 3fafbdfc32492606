"""The serving layer alone: the same engine core, whose forward pass is free, under our server and under vLLM's."""
