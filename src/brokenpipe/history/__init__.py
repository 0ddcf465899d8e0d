"""The append-only record of an experiment: record types, writer, reader."""
