"""The scenarios, one file per area. Every module here is imported by run."""
