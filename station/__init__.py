"""The words that everyone in heliodock shares. Standard library only; imports nothing above it."""
