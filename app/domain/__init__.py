"""Pure values and decisions: pydantic and the standard library only; no clock, disk, network, Qt or Temporal."""
