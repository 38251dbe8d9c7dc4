"""The plant behind real protocol servers, made from the same profiles that the drivers use."""
