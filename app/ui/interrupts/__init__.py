"""The interrupt panel: what people are needed for, answered in place."""
