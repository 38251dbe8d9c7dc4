"""One wire protocol each: codec (pure), transport, checked links, and the board where readings meet the loop."""
